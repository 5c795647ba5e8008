r"""The tick of a planner that samples: try commands about the shifted last plan, keep the cheapest.

    U^0 = the last plan, shifted by the ticks that passed, with or without its feedback, whichever is cheaper
    in every round:  U^i = clip(sample of the distribution),  J^i = J(U^i),  update the distribution by (U^i, J^i)
    plan = argmin J over U^0, all samples and the last mean

so that a plan is never worse than the shifted last one, replayed from the state. A sample whose cost is not finite
costs infinitely much. The distribution is what one such planner has its own: random_shooting.py, cem.py, mppi.py.

Noise is colored (noise.py) and independent over the commands; its standard deviation within a round spans from `std` to
`least_noise` of it. Its unit is the half range of a command; with `alike` it is shared among the commands so that each
of them changes the cost alike,

    unit_j ~ (mean_t Q_uu,t,jj)^(-1/2),   with the geometric mean of the half ranges

Q_uu being the curvature along the last plan, which its feedback needs anyway. A command in newton metres that turns a
hand and one that lifts an arm differ in it by far more than in their limits.

Limits of commands are kept exactly; limits of states, the KL bound and `limit_step` are not considered. No gradient
leads the search: the cost's expansion along the last plan gives its feedback (feedback.py) and the unit of the noise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from ...config.sections.planner import PlannerSettings
from ...types import (
    Array,
    CommandVector,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateVector,
)
from ..base import PlannerContext
from ..feedback import TrajectoryPlanner
from .noise import mixing
from .rollouts import rollouts_of
from .settings import SamplingSettings


class Distribution(Protocol):
    """Where the samples of a planner come from."""

    mean: Array  # (H, nu), itself tried in every round
    kept: Array  # (n, H, nu), tried again in the next round

    def reset(self) -> None:
        """Forget what was learned from samples."""

    def begin(self, mean: Array, scale: Array, ticks: int) -> None:
        """Begin a tick about `mean` (H, nu), `ticks` periods after the last one; noise is in units of `scale` (nu,)."""

    def deviation(self, number: int) -> Array:
        """Return the standard deviation (H, nu) of the commands that are sampled about the mean in round `number`."""

    def update(self, U: Array, costs: Array) -> None:
        """Learn from the samples U (K, H, nu) and their costs (K,), infinite where they are not finite."""


class SamplingPlanner(TrajectoryPlanner):
    """A `Planner`; see the top of this module.

    name: of the planner; populations: how many commands are tried in each round; `clock` [s] measures the time budget.
    Raises what `PlanMemory` raises, and ConfigurationError where settings.nonlinear finds no nonlinear prior.
    """

    def __init__(
        self,
        name: str,
        context: PlannerContext,
        settings: SamplingSettings,
        distribution: Distribution,
        populations: list[int],
        clock: Callable[[], float] = time.perf_counter,
    ):
        super().__init__(context, context.nonlinear(f"planner.{name}.nonlinear") if settings.nonlinear else None)
        self._settings, self._time_budget, self._clock = settings, context.settings.time_budget, clock
        self._distribution, self._populations = distribution, populations
        self._mixing = mixing(context.settings.horizon, settings.noise_exponent)
        self._half_ranges = half_ranges(self.u_lower, self.u_upper)
        self.rollouts = rollouts_of(self.memory, {1, *populations}, settings.threads)
        self._random, self._fresh = np.random.default_rng(settings.seed), True
        self._ticks = 0  # since the last search

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan and begin the noise anew: at x0 (nx,) with the command u (nu,), clipped to its limits.

        Raises ConfigurationError if either is not finite.
        """
        self.memory.reset(x0, u)
        self.memory.U[:] = np.clip(self.memory.U, self.u_lower, self.u_upper)
        self._distribution.reset()
        self._random, self._fresh = np.random.default_rng(self._settings.seed), True
        self._ticks = 0

    def update_settings(self, settings: PlannerSettings) -> None:
        """Take over the time budget; the other settings of all planners are not used, or not dynamic."""
        self._time_budget = settings.time_budget

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Plan from x0; see `Planner`. The arrays of the plan belong to the planner."""
        self.shapes.check(x0, dynamics, parameters, u_previous)
        memory, ticks = self.memory, 0 if self._fresh else ticks
        self._ticks += ticks
        memory.shift(ticks)
        memory.take_problem(x0, dynamics, parameters, u_previous)
        if not (self.u_lower <= self.u_upper).all():
            return memory.plan(np.nan, PlanStatus.INFEASIBLE_BOX, 0)
        if not self.rollouts.begin(self.u_lower, self.u_upper):
            return memory.plan(np.nan, PlanStatus.NOT_FINITE, 0)
        status, rounds, U = self._search()
        if status is PlanStatus.DIVERGED:
            return memory.plan(np.nan, status, rounds)
        self._fresh, self._ticks = False, 0
        X, cost = self.rollouts.states(U)
        memory.take(X, U, dynamics, parameters, u_previous, self.u_lower, self.u_upper)
        return memory.plan(cost, status, rounds)

    def _search(self) -> tuple[PlanStatus, int, Array]:
        """Return how the search ended, the rounds that were run, and the cheapest commands (H, nu)."""
        begin, distribution, clip = self._clock(), self._distribution, (self.u_lower, self.u_upper)
        last, cost = self.rollouts.replay()
        if not np.isfinite(cost):
            last = np.clip(self.memory.U, *clip)
        distribution.begin(last, self._scale(), self._ticks)
        best, best_cost, before, rounds = last, np.inf, np.inf, 0
        status = PlanStatus.MAX_ITERATIONS
        for rounds, count in enumerate(self._populations, 1):
            U = self._candidates(rounds - 1, count)
            costs = self.rollouts.costs(U)
            costs = np.where(np.isfinite(costs), costs, np.inf)
            if rounds == 1:
                before = best_cost = costs[0]
            i = int(np.argmin(costs))
            if costs[i] < best_cost:
                best, best_cost = U[i], costs[i]
            distribution.update(U, costs)
            if 0.0 < self._time_budget * rounds < (self._clock() - begin) * (rounds + 1):
                if rounds < len(self._populations):
                    status = PlanStatus.TIME_BUDGET
                    break
        mean = np.clip(distribution.mean, *clip)
        cost = self.rollouts.costs(mean[None])[0]
        if cost < best_cost:  # not so if it is not a number
            best, best_cost = mean, cost
        if not np.isfinite(best_cost):
            return PlanStatus.DIVERGED, rounds, best
        if status is PlanStatus.MAX_ITERATIONS and not best_cost < before:
            status = PlanStatus.NO_IMPROVEMENT
        return status, rounds, best

    def _candidates(self, number: int, count: int) -> Array:
        """Return what is tried in round `number`: the mean, what was kept, and samples, (count, H, nu)."""
        distribution = self._distribution
        U = np.empty((count, *distribution.mean.shape))
        kept = distribution.kept[: count - 1]
        first = 1 + len(kept)
        U[0], U[1:first] = distribution.mean, kept
        np.clip(U[:first], self.u_lower, self.u_upper, out=U[:first])
        white = self._random.standard_normal(U[first:].shape)
        factor = self._settings.least_noise ** np.linspace(0.0, 1.0, len(white))
        self.rollouts.disturb(self._mixing, white, factor, U[0], distribution.deviation(number), U[first:])
        return U

    def _scale(self) -> Array:
        """Return the unit (nu,) of the noise of each command."""
        curvature = self.memory.memory.Q_uu.diagonal(axis1=1, axis2=2).mean(axis=0)
        if not self._settings.alike or not (curvature > 0.0).all():
            return self._half_ranges
        scale = 1.0 / np.sqrt(curvature)
        alike: Array = scale * np.exp(np.log(self._half_ranges / scale).mean())
        return alike


def populations_of(rollouts: int, rounds: int, decay: float = 1.0) -> list[int]:
    """Divide the rollouts of a tick, without that of the last mean, among its rounds, by `decay` fewer in each.

    Every round has at least two; the sum is rollouts - 1 where that allows it.
    """
    share = decay ** np.arange(rounds)
    edges = np.round(np.cumsum(share) / share.sum() * (rollouts - 1)).astype(int)
    return [max(2, int(count)) for count in np.diff(edges, prepend=0)]


def half_ranges(lower: Array, upper: Array) -> Array:
    """Return half the distance (nu,) of the limits on commands, 1 where that is not finite or 0."""
    half = 0.5 * (np.asarray(upper, dtype=float) - np.asarray(lower, dtype=float))
    return np.where(np.isfinite(half) & (half > 0.0), half, 1.0)


def shifted(rows: Array, ticks: int) -> Array:
    """Return rows (..., H, nu) moved on by `ticks` periods; the last one repeats."""
    H = rows.shape[-2]
    moved: Array = rows[..., np.minimum(np.arange(H) + ticks, H - 1), :]
    return moved
