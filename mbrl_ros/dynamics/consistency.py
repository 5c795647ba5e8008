r"""Model consistency: how far the local model may be relied on, from how well its predictions came true.

For a model that is right the normalised innovation squared (NIS) lies below its bound b in 95 % of the ticks and its
mean is n (Bar-Shalom, Li, Kirubarajan 2001, section 5.4). With the smoothed ratio

    r <- r + rate (min(NIS / b, NIS_CAP) - r)
    level = clip(1 - log(r / r_warning) / log(r_inconsistent / r_warning), 0, 1)

a level of 1 means that the model is consistent with what is measured, 0 that it is not at all. What follows:

    forgetting     goes from its normal value to `surprise_forgetting`: what was learned before no longer holds
    prior weight   falls from 1 to `prior_floor`: a prior that predicts badly must not hold learning back
    KL bound       falls from 1 to `step_floor` times `planner.kl_bound`, if there is one: a plan further from the last
                   one rests on the model even more
    command limits shrink from 1 to `command_floor`: move gently until more is known
    hold           after `hold_after` seconds at level 0 the arm is held, until the level has stayed above one half for
                   `release_after` seconds: learning goes on meanwhile, and the hold is left when it has helped

Everything here is a pure function of the last state and one innovation. The bound is that of Hotelling's distribution
(`NisBound`), since Sigma is estimated, too; where Sigma is known it is the chi-squared bound.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math

import numpy as np
from scipy.special import fdtri

from ..config.sections.dynamics import ConsistencySettings
from ..types import quick_init

NIS_CAP = 1e3  # one absurd innovation must not be remembered for long


@quick_init
@dataclasses.dataclass(frozen=True, slots=True)
class Consistency:
    """Smoothed `ratio` r, `level` in [0, 1], `hold`, and for how long [s] the level has asked to change the latter."""

    ratio: float = 0.5
    level: float = 1.0
    hold: bool = False
    waited: float = 0.0

    def after(self, nis: float, bound: float, dt: float, settings: ConsistencySettings) -> Consistency:
        """Return the consistency dt [s] later, after an innovation.

        Parameters
        ----------
        nis, bound
            Its NIS, not finite if the innovation was not, and the 95 % bound of that.
        dt
            The control period [s].
        settings
            What follows from the ratio.
        """
        seen = min(nis / bound, NIS_CAP) if math.isfinite(nis) else NIS_CAP
        ratio = self.ratio + min(1.0, dt / settings.smoothing) * (seen - self.ratio)
        level = 1.0
        if ratio > settings.warning:
            span = math.log(settings.inconsistent / settings.warning)
            level = min(1.0, max(0.0, 1.0 - math.log(ratio / settings.warning) / span))
        wants_change = level > 0.5 if self.hold else level == 0.0
        waited = self.waited + dt if wants_change else 0.0
        limit = settings.release_after if self.hold else settings.hold_after
        if wants_change and waited >= limit - 1e-9:
            return Consistency(ratio, level, not self.hold, 0.0)
        return Consistency(ratio, level, self.hold, waited)

    def forgetting(self, normal: float, surprised: float) -> float:
        """Return the weight of the past evidence per tick: `normal` at level 1, `surprised` at 0, by memory length."""
        return _forgetting(self.level, normal, surprised)

    def prior_weight(self, settings: ConsistencySettings) -> float:
        """Return the factor on the prior's precision."""
        return math.pow(settings.prior_floor, 1.0 - self.level)

    def step_scale(self, settings: ConsistencySettings) -> float:
        """Return the factor on the KL bound of a plan."""
        return math.pow(settings.step_floor, 1.0 - self.level)

    def command_scale(self, settings: ConsistencySettings) -> float:
        """Return the factor on the command limits."""
        return 1.0 - (1.0 - settings.command_floor) * (1.0 - self.level)


@functools.lru_cache(maxsize=1)  # the same in most ticks
def _forgetting(level: float, normal: float, surprised: float) -> float:
    """See `Consistency.forgetting`."""
    return 1.0 - math.exp(
        level * math.log(max(1.0 - normal, 1e-12)) + (1.0 - level) * math.log(max(1.0 - surprised, 1e-12))
    )


class NisBound:
    """The 95 % bound of the NIS of n outputs whose Sigma has d degrees of freedom.

    It is d n / (d - n + 1) F_0.95(n, d - n + 1), tabulated from d = n + 1 to `most`, interpolated between and constant
    beyond; `highest` is that of n + 1.
    """

    def __init__(self, n: int, most: float):
        dof = np.geomspace(n + 1.0, most)
        bounds = dof * n / (dof - n + 1) * fdtri(n, dof - n + 1, 0.95)
        self._dof: list[float] = dof.tolist()
        self._bounds: list[float] = bounds.tolist()
        self.highest = self._bounds[0]

    def at(self, dof: float) -> float:
        """Return the bound for `dof` degrees of freedom: np.interp, which is slow for one number."""
        at, values = self._dof, self._bounds
        i = bisect.bisect_right(at, dof) - 1
        if i < 0 or i >= len(at) - 1:
            return values[0 if i < 0 else -1]
        return (values[i + 1] - values[i]) / (at[i + 1] - at[i]) * (dof - at[i]) + values[i]
