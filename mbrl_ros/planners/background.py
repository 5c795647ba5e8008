r"""Any planner in another process, for plans that take longer than a period (`planner.process`).

A busy second thread would cost the control thread milliseconds in every tick; a process on another core does not. At
tick k the problem goes there; at tick k + d its answer x*, u* becomes the plan, moved on by the d stages that have
passed. Until the next answer the plan acts with feedback: with the gains K of the linear-quadratic regulator about it,
under the model and the cost of the present tick,

    u_t = clip(u*_t + K_t (y_t - y*_t), u_lower, u_upper),   x_{t+1} = phi(x_t, u_t) + F_t [x_t; u_t] + f_t

from the present state on. d is `planner.process_ticks`: exactly, where the tick waits for the answer
(`planner.process_wait`), so that runs repeat; else at least. A process that ends or hangs is started again, and the
plan goes on; one that is older than `planner.process_oldest` is not usable (PlanStatus.STALE).
"""

from __future__ import annotations

import numpy as np

from ..config.section import Section
from ..config.sections.planner import PlannerSettings
from ..dynamics.priors.nonlinear_model import NonlinearModel
from ..exceptions import ConfigurationError
from ..types import (
    USABLE,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateVector,
)
from .background_child import COST_FUNCTIONS, COST_PARTS, Job
from .background_memory import Sizes
from .background_process import PlanningProcess
from .base import PlannerContext, checked_start
from .feedback import TrajectoryPlanner
from .roll import Roll


class BackgroundPlanner(TrajectoryPlanner):
    """The planner `name` in another process; see planners/base.py and the top of this module.

    Raises ConfigurationError for what the planner itself refuses.
    """

    def __init__(self, name: str, settings: Section, context: PlannerContext):
        common = self._settings = context.settings
        cost, model = context.cost, _model(context)
        theta = model.theta.size if isinstance(model, NonlinearModel) else 0
        sizes = Sizes(common.horizon, context.nx, context.nu, cost.np, theta)
        parts = {part: getattr(cost, part) for part in (*COST_PARTS, *COST_FUNCTIONS)}
        limits = context.u_lower, context.u_upper, context.x_lower, context.x_upper
        self.process = PlanningProcess(Job(name, settings, common, parts, model, limits, sizes, common.process_timeout))
        super().__init__(context, model if self.process.has_model and isinstance(model, NonlinearModel) else None)
        self._roll = Roll(self.memory.problem, self.H)
        self._oldest = common.process_oldest or self.H
        self._share, self._now, self._planned, self._fresh = 1.0, 0, 0, True
        self._sent: int | None = None  # the tick of the problem that is being solved
        self._asked = 0  # the tick of the last one
        self._forgotten = False  # the problem that is being solved is one from before reset()
        self._refused: PlanStatus | None = None

    @property
    def restarts(self) -> int:
        """How often the process had to be started again."""
        return self.process.restarts

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan: begin at x0 (nx,) with the constant command u (nu,), clipped to its limits.

        Raises ConfigurationError if either is not finite.
        """
        x0, u = checked_start(x0, u, self.nx, self.nu)
        self.memory.reset(x0, np.clip(u, self.u_lower, self.u_upper))
        self._planned, self._fresh = self._now, True
        self._forgotten, self._refused, self.process.fresh = self._sent is not None, None, True

    def limit_step(self, share: float) -> None:
        """Keep to `share` (0, 1] of the usual distance from the last plan, where the planner bounds it."""
        self._share = share

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over the settings that may change while running, as far as the planner does."""
        self.process.configure(settings)

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Act on the last plan from x0, and let the process plan on; see `Planner`."""
        self.shapes.check(x0, dynamics, parameters, u_previous)
        self.memory.shift(0 if self._fresh else ticks)
        self._now += max(ticks, 1)
        self._fresh = False
        theta = np.zeros(0) if self.model is None else self.model.theta
        if not all(np.isfinite(a).all() for a in (x0, u_previous, parameters, dynamics.F, dynamics.f, theta)):
            return self.memory.plan(np.nan, PlanStatus.NOT_FINITE, 0)
        if not (self.u_lower <= self.u_upper).all():
            return self.memory.plan(np.nan, PlanStatus.INFEASIBLE_BOX, 0)
        status, iterations = self._adopt()
        self._ask(x0, dynamics, parameters, u_previous)
        with np.errstate(all="ignore"):
            cost = self._act(x0, dynamics, parameters, u_previous)
        if not np.isfinite(cost):
            status = PlanStatus.DIVERGED
        elif self._now - self._planned > self._oldest:
            status = self._refused or PlanStatus.STALE
        return self.memory.plan(cost, status, iterations)

    def _adopt(self) -> tuple[PlanStatus, int]:
        """Make the answer that is due the plan, moved on to now; (status, iterations)."""
        wait = self._settings.process_wait
        if self._sent is None:
            return PlanStatus.NO_IMPROVEMENT, 0
        age = self._now - self._sent
        if age < self._settings.process_ticks and not self._forgotten:
            return PlanStatus.NO_IMPROVEMENT, 0
        answered = self.process.take(wait)
        if self.process.busy:
            return PlanStatus.NO_IMPROVEMENT, 0
        self._sent, forgotten, self._forgotten = None, self._forgotten, False
        if not answered or forgotten:
            return PlanStatus.NO_IMPROVEMENT, 0
        shared = self.process.shared
        status = PlanStatus(int(shared["answer"][1]))
        if status not in USABLE:
            self._refused = status
            return PlanStatus.NO_IMPROVEMENT, 0
        stages = np.arange(self.H + 1) + age
        self.memory.X[:] = shared["X"][np.minimum(stages, self.H)]
        self.memory.U[:] = shared["U"][np.minimum(stages[:-1], self.H - 1)]
        self._planned, self._refused = self._now, None
        return status, int(shared["answer"][2])

    def _ask(
        self, x0: StateVector, dynamics: LinearGaussianDynamics, p: StageParameters, u_previous: CommandVector
    ) -> None:
        """Give the process the present problem, if it is ready for one."""
        process, shared = self.process, self.process.shared
        if not process.check():
            if not process.busy:
                self._sent = None  # it was started again
            return
        stages = len(dynamics.F)
        shared["x0"][:], shared["u_previous"][:], shared["p"][:] = x0, u_previous, p
        for name, given in (("F", dynamics.F), ("f", dynamics.f), ("Sigma", dynamics.Sigma)):
            shared[name][:stages] = given
        if self.model is not None:
            shared["theta"][:] = self.model.theta
        shared["u_lower"][:], shared["u_upper"][:] = self.u_lower, self.u_upper
        shared["reset_x"][:], shared["reset_u"][:] = x0, np.clip(u_previous, self.u_lower, self.u_upper)
        shared["request"][:] = self._now - self._asked, process.fresh, stages, self._share
        process.send()
        self._sent = self._asked = self._now

    def _act(
        self, x0: StateVector, dynamics: LinearGaussianDynamics, p: StageParameters, u_previous: CommandVector
    ) -> float:
        """Follow the plan from x0 with the feedback about it, which makes it the plan; return its cost."""
        memory, limits, H = self.memory, (self.u_lower, self.u_upper), self.H
        memory.take(memory.X.copy(), np.clip(memory.U, *limits), dynamics, p, u_previous, *limits)
        gains = memory.plan(np.nan, PlanStatus.CONVERGED, 0)
        F, f = (np.broadcast_to(a, (H, *a.shape[1:])) for a in (dynamics.F, dynamics.f))
        theta = np.zeros(0) if self.model is None else self.model.theta
        K = np.concatenate((gains.K, gains.K_u), axis=2)
        X, U, cost = self._roll(x0, u_previous, memory.X, memory.U, K, limits, (F, f, p, theta))
        if np.isfinite(cost):
            memory.X[:], memory.U[:] = X, U
        return cost


def _model(context: PlannerContext) -> NonlinearModel | ConfigurationError | None:
    """Return phi, or why there is none."""
    if context.model is None:
        return None
    try:
        return context.model()
    except ConfigurationError as error:
        return error
