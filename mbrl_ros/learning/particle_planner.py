r"""The cross-entropy method over particles: the commands whose expected cost, or that of the worst case, is least.

    U^i = clip(mean + std w^i),   E = the cheapest of them and of the kept elites,   mean, std <- those of E

with J the mean over particles, or over the worst of them (particles.py). The distribution is that of the planner `cem`,
and so is its noise over the horizon; what differs is the model, which no gradient is asked of. The first search of an
episode begins with the mean 0, a later one with the last plan, shifted by a period.

With a limit d on the disagreement of the members a plan goes as far as they agree: a search looks at

    h = min {t: sqrt(mean_p max_j (c_j s_j(x_t^p, u_t) / r_j)^2) > d},    LEAST_STAGES <= h <= H

stages, with x^p the particles of the last plan, shifted, s_j the standard deviation of the members' means, c_j its
calibration (dynamics/calibration.py), r_j the root mean square of the changes that were seen. What is beyond is not
known, so that a cost there would say nothing about a command.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.section import Section, setting
from ..config.sections.planner import PlannerSettings
from ..exceptions import ConfigurationError
from ..planners import cem
from ..planners.base import PlannerContext
from ..planners.sampling.noise import mixing
from ..planners.sampling.planner import half_ranges, populations_of, shifted
from ..tasks.base import TaskInfo
from ..types import Array, CommandVector, StateVector
from .particles import PROPAGATIONS, Members, Particles

LEAST_STAGES = 5  # of a plan that disagreement limits
SEARCH_STREAM = 1  # beside a seed: what is drawn here is independent of the episodes' starts and random commands


@dataclasses.dataclass(frozen=True)
class SearchSettings(Section):
    """How plans are searched for and judged."""

    propagation: str = setting(
        "ts_infinity",
        "member of a particle: ts1: drawn anew at every stage; ts_infinity: the same for the whole plan",
        choices=PROPAGATIONS,
    )
    particles: int = setting(1, "particles of a plan for each network", unit="particles", low=1, high=1000)
    risk: float = setting(
        1.0,
        "share of a plan's particles, the worst, whose mean cost it is judged by (CVaR); 1: all, the expected cost",
        low=1e-6,
        high=1.0,
    )
    horizon: int = setting(25, "stages of a plan; 0: the number that the task names", unit="steps", low=0, high=500)
    rollouts: int = setting(400, "plans that are tried in a step, in all", low=4, high=1_000_000)
    iterations: int = setting(4, "rounds that the plans of a step are divided into", low=1, high=1000)
    elites: float = setting(0.1, "share of a round's plans that are elites", low=1e-6, high=1.0)
    std: float = setting(
        0.5, "standard deviation of the commands that are tried, in half ranges of the command", low=1e-9, high=10.0
    )
    noise_exponent: float = setting(
        2.0, "beta of the noise over the horizon, whose power falls as frequency^-beta; 0: white", low=0.0, high=10.0
    )
    disagreement: float = setting(
        0.0,
        "how far the networks may be apart where a plan goes, calibrated, in root mean squares of the changes seen;"
        " 0: no limit",
        low=0.0,
        high=1e6,
    )

    def validate(self) -> None:
        """Refuse a plan of one stage."""
        if self.horizon == 1:
            raise ConfigurationError("must be 0, or at least 2", key="horizon", value=self.horizon)


class ParticlePlanner:
    """Plans a task through `members` networks; see the top of this module. `seed` is that of all that is drawn."""

    def __init__(self, info: TaskInfo, settings: SearchSettings, members: int, seed: int):
        H = settings.horizon or info.horizon
        self._info, self._rng = info, np.random.default_rng([seed, SEARCH_STREAM])
        distribution = cem.Settings(
            rollouts=settings.rollouts,
            iterations=settings.iterations,
            std=settings.std,
            elites=settings.elites,
            noise_exponent=settings.noise_exponent,
        )
        self._least_noise = distribution.least_noise
        self._populations = populations_of(settings.rollouts, settings.iterations)
        anywhere = np.full(2 * info.n, np.inf)
        limits = info.u_lower, info.u_upper, -anywhere, anywhere
        context = PlannerContext(info.cost, PlannerSettings(horizon=H), 2 * info.n, info.n, *limits)
        self._elites = cem.Elites(distribution, context)
        self._mixing, self._half = mixing(H, settings.noise_exponent), half_ranges(info.u_lower, info.u_upper)
        self._particles = Particles(
            info.cost, info.dt, H, settings.propagation, members, settings.particles, settings.risk
        )
        self._limit, self._stages, self._plan = settings.disagreement, H, np.zeros((H, info.n))
        self._parameters = {h: info.cost.parameters(h) for h in range(1, H + 1)}

    def reset(self) -> None:
        """Forget the last plan."""
        self._plan[:] = 0.0
        self._stages = len(self._plan)
        self._elites.reset()

    def plan(self, model: Members, x0: StateVector, u_previous: CommandVector) -> Array:
        """Return commands (H, n) from x0 (2n,), where `u_previous` (n,) acted before."""
        elites, U = self._elites, shifted(self._plan, 1)
        elites.begin(U, self._half, 1)
        self._particles.draw(self._rng)
        if self._limit:
            self._stages = self._reach(self._particles.disagreement(model, x0, U))
        best, best_cost = U, np.inf
        for number, count in enumerate(self._populations):
            U = self._candidates(number, count)
            costs = self._costs(model, x0, U, u_previous)
            i = int(np.argmin(costs))
            if costs[i] < best_cost:
                best, best_cost = U[i], costs[i]
            elites.update(U, costs)
        mean = np.clip(elites.mean, self._info.u_lower, self._info.u_upper)
        cost = self._costs(model, x0, mean[None], u_previous)[0]
        self._plan = mean if cost < best_cost else best
        return self._plan

    def _costs(self, model: Members, x0: StateVector, U: Array, u_previous: CommandVector) -> Array:
        """Return what the plans U (K, H, n) cost as far as a search looks, (K,)."""
        h = self._stages
        return self._particles.costs(model, x0, U[:, :h], u_previous, self._parameters[h])

    def _reach(self, apart: Array) -> int:
        """Return the stages that a search looks at where the members are so far apart (H,) along a plan."""
        beyond = np.flatnonzero(apart > self._limit)
        H = len(apart)
        return min(max(int(beyond[0]), LEAST_STAGES), H) if len(beyond) else H

    def _candidates(self, number: int, count: int) -> Array:
        """Return what is tried in round `number`: the mean, what was kept, and samples, (count, H, n)."""
        elites, U = self._elites, np.empty((count, *self._plan.shape))
        kept = elites.kept[: count - 1]
        first = 1 + len(kept)
        U[0], U[1:first] = elites.mean, kept
        white = self._rng.standard_normal(U[first:].shape)
        factor = self._least_noise ** np.linspace(0.0, 1.0, len(white))
        noise = factor[:, None, None] * elites.deviation(number) * np.matmul(self._mixing, white)
        U[first:] = elites.mean + noise
        return np.clip(U, self._info.u_lower, self._info.u_upper, out=U)
