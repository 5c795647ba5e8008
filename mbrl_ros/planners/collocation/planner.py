r"""The planner behind `collocation`: multiple shooting, solved anew in every period from the shifted last solution.

What the solver returns is brought onto the dynamics: with the gains K of the local controller about its X*, U*,

    u_t = clip(u*_t + K_t (y_t - y*_t), u_lower, u_upper),   x_{t+1} = phi(x_t, u_t) + F_t [x_t; u_t] + f_t

from x_0 on, so that the plan is one that the model can follow and inside the limits of commands, whatever is left of
the gaps and of the solver's tolerance on limits. At a solution the correction is zero. The same is done with the last
plan, shifted, and the better of the two is the plan: one that keeps the limits of states before one that does not, and
the cheaper one then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ...config.sections.planner import PlannerSettings
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ...types import (
    Array,
    CommandTrajectory,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateTrajectory,
    StateVector,
    checked,
)
from ..base import PlannerContext
from ..feedback import PlanMemory, TrajectoryPlanner
from ..ilqr.problem import Problem
from ..roll import Roll
from .layout import Layout
from .nlp_solver import NlpSolver, Outcome, Point
from .settings import Settings
from .transcription import multiple_shooting

LIMIT_TOLERANCE = 1e-6  # by how much of max(1, |limit|) a planned state may be beyond its limit
EQUAL_COST = 1e-6  # two plans whose costs differ by less than this fraction of 1 + |cost| are equally good


@dataclass(frozen=True, eq=False, slots=True)
class Trajectory:
    """States (H+1, nx) and commands (H, nu) that the model follows, their cost, and how far a limit is exceeded."""

    X: StateTrajectory
    U: CommandTrajectory
    cost: float
    beyond: float

    def better_than(self, other: Trajectory) -> bool:
        """Whether it keeps the limits of states where the other does not, or is cheaper."""
        if (self.beyond > LIMIT_TOLERANCE) != (other.beyond > LIMIT_TOLERANCE):
            return self.beyond <= LIMIT_TOLERANCE
        return self.cost < other.cost


class CollocationPlanner(TrajectoryPlanner):
    """Plans H stages by multiple shooting; see planners/base.py and the top of this module.

    Parameters
    ----------
    settings, context
        As given to `build`.
    model
        phi, if the dynamics given with every plan are only what it leaves unexplained.
    """

    def __init__(self, settings: Settings, context: PlannerContext, model: NonlinearModel | None = None):
        super().__init__(context, model)
        common, self._trial = context.settings, PlanMemory(context, model)
        problem = self.memory.problem
        anywhere = np.full(self.nx, np.inf)
        x_lower, x_upper = (context.x_lower, context.x_upper) if common.state_limits else (-anywhere, anywhere)
        self._x_lower, self._x_upper = checked("x_lower", x_lower, (self.nx,)), checked("x_upper", x_upper, (self.nx,))
        self._scale = np.maximum(1.0, np.maximum(_finite(self._x_lower), _finite(self._x_upper)))
        self._roll = Roll(problem, self.H)
        self._layout = Layout(self.nx, self.nu, problem.nv, self.H)
        self._begin_solvers(settings, problem, common.time_budget)
        self._theta = np.zeros(0) if model is None else model.theta
        n = self._layout.size
        self._start = Point(np.zeros(n), np.zeros(n), np.zeros(self._layout.constraints))
        self._lower, self._upper = np.zeros(n), np.zeros(n)
        self._fresh, self._warm = True, False

    def _begin_solvers(self, settings: Settings, problem: Problem, budget: float) -> None:
        """Build a cold and a warm solver for every limit of iterations that a budget of time may need."""
        transcription = multiple_shooting(problem, self.H, settings.hessian)
        most = settings.iterations
        limits = [2**i for i in range(most.bit_length()) if 2**i < most] if budget > 0.0 else []
        self._solvers = {
            (limit, warm): NlpSolver(
                transcription,
                settings.solver,
                limit,
                settings.tolerance,
                settings.warm_barrier if warm else None,
            )
            for limit in [*limits, most]
            for warm in (False, True)
        }
        self._limits, self._budget, self._seconds = [*limits, most], budget, 0.0
        self._p = np.zeros(sum(transcription.layout))
        ends = np.cumsum(transcription.layout)
        parts = np.split(self._p, ends[:-1])
        shapes = ((-1,), (-1,), (self.H, self.nx, self.nx + self.nu), (self.H, self.nx), (self.H + 1, -1), (-1,))
        self._parts = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan: begin at x0 (nx,) with the constant command u (nu,), clipped to its limits.

        Raises ConfigurationError if either is not finite.
        """
        self.memory.reset(x0, np.clip(u, self.u_lower, self.u_upper))
        self._fresh, self._warm = True, False

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over time_budget; it can be changed, but not introduced where there was none."""
        if len(self._limits) > 1:
            self._budget = settings.time_budget

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Plan from x0; see `Planner`."""
        begin = time.perf_counter()
        self.shapes.check(x0, dynamics, parameters, u_previous)
        self._shift(0 if self._fresh else ticks)
        if not all(np.isfinite(a).all() for a in (x0, u_previous, parameters, dynamics.F, dynamics.f, self._theta)):
            return self.memory.plan(np.nan, PlanStatus.NOT_FINITE, 0)
        if not (self.u_lower <= self.u_upper).all():
            return self.memory.plan(np.nan, PlanStatus.INFEASIBLE_BOX, 0)
        for part, given in zip(
            self._parts, (x0, u_previous, dynamics.F, dynamics.f, parameters, self._theta), strict=True
        ):
            part[...] = given
        with np.errstate(all="ignore"):
            return self._plan(x0, dynamics, parameters, u_previous, begin)

    def _plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        p: StageParameters,
        u_previous: CommandVector,
        begin: float,
    ) -> Plan:
        memory, trial = self.memory, self._trial
        kept = self._follow(memory, x0, u_previous)
        if not np.isfinite(kept.cost):  # FATROP does not return from a start whose cost is infinite
            return memory.plan(kept.cost, PlanStatus.DIVERGED, 0)
        self._layout.write(self._start.w, kept.X if self._fresh else memory.X, memory.U)
        self._bound(x0)
        solver, cut = self._solver(begin)
        outcome = solver.solve(self._start, self._p, self._lower, self._upper)
        self._learn(solver, outcome, begin)
        X, U = self._layout.read(solver.point.w, x0)
        limits = self.u_lower, self.u_upper
        trial.X[:], trial.U[:] = memory.X, memory.U
        trial.take(X, np.clip(U, *limits), dynamics, p, u_previous, *limits)
        found = self._follow(trial, x0, u_previous)
        improved = found.better_than(kept)
        best = found if improved else kept
        if best.beyond > LIMIT_TOLERANCE:
            return memory.plan(best.cost, PlanStatus.INFEASIBLE_LIMITS, solver.done)
        if improved:
            trial.X[:], trial.U[:] = found.X, found.U
        else:
            trial.take(kept.X, kept.U, dynamics, p, u_previous, *limits)
        self.memory, self._trial, self._fresh = trial, memory, False
        status = self._status(outcome, cut, improved, found.cost - kept.cost <= EQUAL_COST * (1.0 + abs(kept.cost)))
        return trial.plan(best.cost, status, solver.done)

    @staticmethod
    def _status(outcome: Outcome, cut: bool, improved: bool, same: bool) -> PlanStatus:
        if outcome is Outcome.SOLVED and (improved or same):
            return PlanStatus.CONVERGED
        if not improved:
            return PlanStatus.NO_IMPROVEMENT
        return PlanStatus.TIME_BUDGET if outcome is Outcome.LIMITED and cut else PlanStatus.MAX_ITERATIONS

    def _solver(self, begin: float) -> tuple[NlpSolver, bool]:
        """Choose the solver with the most iterations that fit the budget; whether it has fewer than asked for."""
        limit = self._limits[-1]
        if self._budget > 0.0:
            left = self._budget - (time.perf_counter() - begin)
            fitting = [n for n in self._limits if n * self._seconds <= left] if self._seconds else []
            limit = max(fitting, default=self._limits[0])
        return self._solvers[limit, self._warm], limit < self._limits[-1]

    def _learn(self, solver: NlpSolver, outcome: Outcome, begin: float) -> None:
        """Take over the multipliers of a solution, and how long an iteration takes."""
        if self._budget > 0.0:
            self._seconds = max(self._seconds, (time.perf_counter() - begin) / max(1, solver.done))
        self._warm = outcome is not Outcome.FAILED
        self._start.lam_w[:] = solver.point.lam_w if self._warm else 0.0
        self._start.lam_g[:] = solver.point.lam_g if self._warm else 0.0

    def _bound(self, x0: StateVector) -> None:
        """Write the limits of the variables."""
        lower, upper = self._limits_of_states(x0)
        for w, x, u, v in ((self._lower, lower, self.u_lower, -np.inf), (self._upper, upper, self.u_upper, np.inf)):
            self._layout.write(w, x, np.broadcast_to(u, (self.H, self.nu)), v)

    def _limits_of_states(self, x0: StateVector) -> tuple[Array, Array]:
        """Return those of every stage (H+1, nx): one that x0 is beyond comes back to its place over the horizon."""
        share = np.linspace(1.0, 0.0, self.H + 1)[:, None]
        return (
            self._x_lower - share * np.maximum(self._x_lower - x0, 0.0),
            self._x_upper + share * np.maximum(x0 - self._x_upper, 0.0),
        )

    def _follow(self, memory: PlanMemory, x0: StateVector, u_previous: CommandVector) -> Trajectory:
        """Let the model follow a plan from x0 with its feedback."""
        gains = memory.plan(np.nan, PlanStatus.CONVERGED, 0)
        _, _, F, f, p, theta = self._parts
        K = np.concatenate((gains.K, gains.K_u), axis=2)
        limits = self.u_lower, self.u_upper
        X, U, cost = self._roll(x0, u_previous, memory.X, memory.U, K, limits, (F, f, p, theta))
        lower, upper = self._limits_of_states(x0)
        beyond = float((np.maximum(X - upper, lower - X) / self._scale).max())
        return Trajectory(X, U, cost if np.isfinite(cost) else np.inf, max(0.0, beyond) if beyond == beyond else np.inf)

    def _shift(self, ticks: int) -> None:
        """Move the last plan and its multipliers on."""
        if ticks > 0:
            self.memory.shift(ticks)
            self._layout.shift_bounds(self._start.lam_w, ticks)
            self._layout.shift_constraints(self._start.lam_g, ticks)


def _finite(limit: Array) -> Array:
    size: Array = np.where(np.isfinite(limit), np.abs(limit), 0.0)
    return size
