"""The planner `mcts`: what it does in one period; see the package's head for the method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...config.sections.planner import PlannerSettings
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...exceptions import CompileError, ShapeError
from ...types import (
    Array,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateVector,
    checked,
)
from ..base import PlannerContext
from ..feedback import PlanMemory
from . import kernel
from .numpy_search import NumpySearch
from .policy import FeedbackPolicy
from .primitives import Primitives
from .search import DEFAULT_LAWS, REPLAYS, RootStatistics, SearchMemory, SearchNumbers, TreeSearch
from .settings import Settings


class MctsPlanner:
    """Plans H stages by a tree search in every period; see planners/base.py."""

    def __init__(self, settings: Settings, context: PlannerContext, model: NonlinearModel | None = None):
        self.model = model
        cost, self.H, self.nx, self.nu = context.cost, context.settings.horizon, context.nx, context.nu
        self.settings, self._own = context.settings, settings
        self._plan, self._policy = PlanMemory(context, model), FeedbackPolicy(context, model)
        length = min(settings.length, self.H)
        memory = self.memory = SearchMemory.allocate(
            self.nx,
            self.nu,
            cost.np,
            self.H,
            length,
            settings.primitives,
            None if model is None else model.theta,
        )
        memory.u_lower[:] = checked("u_lower", context.u_lower, (self.nu,))
        memory.u_upper[:] = checked("u_upper", context.u_upper, (self.nu,))
        numbers = SearchNumbers(
            horizon=self.H,
            length=length,
            primitives=settings.primitives,
            simulations=settings.simulations,
            exploration=settings.exploration,
            widening=settings.widening,
            growth=settings.growth,
            best_answer=int(settings.answer == "best"),
            time_budget=context.settings.time_budget,
        )
        self.backend, self.search = search_of(context, model, memory, numbers)
        self._primitives = Primitives(memory, settings.fixed, length, settings.reach)
        self._default = DEFAULT_LAWS[settings.default]
        self._uses_policy = "lqr" in (settings.default, *settings.fixed)
        self._shapes = (self.nx,), (self.nu,), (self.H + 1, cost.np)
        self._random, self._fresh = np.random.default_rng(settings.seed), True

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx)."""
        return self._plan.X

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu)."""
        return self._plan.U

    @property
    def root(self) -> RootStatistics:
        """What the last search found out about the first segment."""
        memory, numbers, P = self.memory, self.search.numbers, self._own.primitives
        counts, range_ = memory.counts.copy(), numbers.worst - numbers.best
        means = memory.totals / np.maximum(counts, 1.0)
        values = np.clip((numbers.worst - means) / range_, 0.0, 1.0) if 0.0 < range_ < np.inf else np.zeros(P)
        return RootStatistics(
            memory.laws[:P].copy(), memory.offsets[0].copy(), counts, np.where(counts > 0.0, values, 0.0)
        )

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan: begin at x0 (nx,) with the constant command u (nu,), clipped to its limits.

        The sequence of random numbers begins anew. Raises ConfigurationError if either is not finite.
        """
        self._plan.reset(x0, np.clip(u, self.memory.u_lower, self.memory.u_upper))
        self._random, self._fresh = np.random.default_rng(self._own.seed), True

    def limit_commands(self, lower: CommandVector, upper: CommandVector) -> None:
        """Plan within these limits (nu,) from now on."""
        self.memory.u_lower[:], self.memory.u_upper[:] = lower, upper

    def limit_step(self, share: float) -> None:
        """Do nothing: the distance from the last plan is not bounded."""

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over the setting that may change while running: time_budget."""
        self.settings = self.settings.replace(time_budget=settings.time_budget)
        self.search.numbers.time_budget = settings.time_budget

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Measure the time budget by this clock [s] instead of the monotonic one."""
        self.search.use_clock(clock)

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Plan from x0; see `Planner`."""
        for name, given, shape in zip(
            ("x0", "u_previous", "parameters"), (x0, u_previous, parameters), self._shapes, strict=True
        ):
            if given.shape != shape:
                raise ShapeError(name, shape, given.shape)
        self._plan.shift(0 if self._fresh else ticks)
        self._fresh = False
        memory = self.memory
        if not (memory.u_lower <= memory.u_upper).all():
            return self._plan.plan(np.nan, PlanStatus.INFEASIBLE_BOX, 0)
        if not all(np.isfinite(a).all() for a in (x0, u_previous, parameters, dynamics.F, dynamics.f)):
            return self._plan.plan(np.nan, PlanStatus.NOT_FINITE, 0)
        stages = self.search.numbers.stages_of_F = len(dynamics.F)
        memory.x0[:], memory.u_previous[:], memory.p[:] = x0, u_previous, parameters
        memory.F[:stages], memory.f[:stages] = dynamics.F, dynamics.f
        with np.errstate(all="ignore"):
            return self._improve(dynamics)

    def _improve(self, dynamics: LinearGaussianDynamics) -> Plan:
        """Search about the replayed last plan, and take the best of that, the feedback policy and what is found."""
        memory, numbers, lower, upper = self.memory, self.search.numbers, self.memory.u_lower, self.memory.u_upper
        replayed, policy = self._replay(), self._policy
        if not np.isfinite(replayed):
            return self._plan.plan(replayed, PlanStatus.DIVERGED, 0)
        policy.about(memory.X, memory.U, dynamics, memory.p, lower, upper)
        memory.K[:], memory.K_u[:], memory.k[:] = policy.K, policy.K_u, policy.k
        cost, X, U = self._step(replayed)
        self._primitives.draw(self._random, policy.Q_uu, replayed, lower, upper)
        memory.laws[-1] = self._default
        self.search.search()
        if numbers.cost < cost:
            cost, X, U = numbers.cost, memory.X_new, memory.U_new
        status = self._plan.take(X, U, dynamics, memory.p, memory.u_previous, lower, upper)
        if status is None:
            status = PlanStatus.MAX_ITERATIONS if cost < replayed else PlanStatus.NO_IMPROVEMENT
            status = PlanStatus.TIME_BUDGET if numbers.out_of_time else status
        return self._plan.plan(cost, status, numbers.simulations_done)

    def _step(self, cost: float) -> tuple[float, Array, Array]:
        """Scale the policy's k by the largest alpha = 2^-i with which it is better than the plan in hand, else by 0.

        Returns cost, states and commands of the better of the two.
        """
        memory = self.memory
        for alpha in 0.5 ** np.arange(self.settings.line_search if self._uses_policy else 0):
            found = self.search.roll((), (alpha, 1.0, 0.0))
            if found < cost:
                memory.k *= alpha
                return found, memory.X_new.copy(), memory.U_new.copy()
        memory.k[:] = 0.0
        return cost, memory.X, memory.U[1:]

    def _replay(self) -> float:
        """Replay the last plan from x0, with and without its feedback: the cheaper is the plan in hand; its cost."""
        memory, last = self.memory, self._plan.plan(0.0, PlanStatus.NO_IMPROVEMENT, 0)
        memory.X[:], memory.U[0], memory.U[1:] = last.x_hat, memory.u_previous, last.u_hat
        memory.K[:], memory.K_u[:], memory.k[:] = last.K, last.K_u, 0.0
        cost = np.inf
        found = memory.X.copy(), memory.U[1:].copy()
        for law in REPLAYS.values():
            other = self.search.roll((), law)
            if other < cost:
                cost, found = other, (memory.X_new.copy(), memory.U_new.copy())
        memory.X[:], memory.U[1:] = found
        return cost


def search_of(
    context: PlannerContext, model: NonlinearModel | None, memory: SearchMemory, numbers: SearchNumbers
) -> tuple[str, TreeSearch]:
    """Choose what searches: ("compiled" or "numpy", the search).

    Raises CompileError where planner.backend is "compiled" and nothing compiles.
    """
    if context.settings.backend in ("auto", "compiled"):
        library = kernel.load(context.cost, model)
        if library is not None:
            return "compiled", kernel.CompiledSearch(library, memory, numbers)
        if context.settings.backend == "compiled":
            raise CompileError(
                "planner.backend is 'compiled', but the tree search could not be compiled: the log has the reason; "
                "'auto' goes on without"
            )
    return "numpy", NumpySearch(context.cost, memory, numbers, model)
