r"""The planner `cem`: the cross-entropy method, which fits a Gaussian to the cheapest samples again and again.

    U^i = clip(mean + std * w^i),  E = the n cheapest of them and of the kept elites
    mean <- a mean + (1 - a) mean of E,   std <- a std + (1 - a) std of E

(Rubinstein 1999; de Boer et al. 2005), mean and std (H, nu), with the improvements of iCEM (Pinneri et al. 2020): w is
colored noise; a share of the elites is kept from round to round, and shifted from tick to tick; the population may
shrink from round to round; the mean and the best sequence are candidates themselves (sampling/planner.py).

The standard deviation of a tick begins at that which the last one left, shifted and times `std_growth`, at most at
`std`: where the plan has settled the search stays near it, and where the elites are far apart it widens. iCEM begins
with `std` in every tick, which is `std_growth` without bound.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.section import setting
from ..exceptions import ConfigurationError
from ..types import Array
from .base import Planner, PlannerContext
from .sampling.planner import SamplingPlanner, populations_of, shifted
from .sampling.settings import SamplingSettings, least_noise_setting


@dataclasses.dataclass(frozen=True)
class Settings(SamplingSettings):
    """What all planners that sample have, and those of the cross-entropy method."""

    least_noise: float = least_noise_setting(0.1)
    elites: float = setting(0.3, "share of a round's samples that are elites", low=1e-6, high=1.0)
    kept_elites: float = setting(
        0.3, "share of the elites that are candidates again in the next round and the next tick", low=0.0, high=1.0
    )
    smoothing: float = setting(0.1, "weight of the old mean and standard deviation in the new ones", low=0.0, high=0.99)
    population_decay: float = setting(
        1.0, "size of a round's population relative to the one before; the sum is `rollouts`", low=0.01, high=1.0
    )
    least_std: float = setting(
        1e-4, "least standard deviation of the commands, in half ranges of the command", low=1e-12, high=10.0
    )
    std_growth: float = setting(
        20.0,
        "standard deviation at the beginning of a tick relative to that which the last one left, up to `std`",
        low=1.0,
        high=1e12,
    )

    def validate(self) -> None:
        """Check that the bounds of the standard deviation do not cross."""
        if self.least_std > self.std:
            raise ConfigurationError(f"must be at most std, {self.std:g}", key="least_std", value=self.least_std)


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; see `SamplingPlanner` for what it raises."""
    populations = populations_of(settings.rollouts, settings.iterations, settings.population_decay)
    return SamplingPlanner("cem", context, settings, Elites(settings, context), populations)


class Elites:
    """A `Distribution`: independent Gaussians fitted to the elites, with the elites that are kept."""

    def __init__(self, settings: Settings, context: PlannerContext):
        self._settings, self._scale = settings, np.ones(context.nu)
        self.mean = np.zeros((context.settings.horizon, context.nu))
        self.std = np.empty_like(self.mean)  # in units of the scale
        self.reset()

    def reset(self) -> None:
        """See `Distribution`."""
        self.std[:] = self._settings.std
        self.kept = np.zeros((0, *self.mean.shape))

    def begin(self, mean: Array, scale: Array, ticks: int) -> None:
        """See `Distribution`."""
        settings = self._settings
        self.mean, self._scale, self.kept = mean, scale, shifted(self.kept, ticks)
        grown = settings.std_growth * shifted(self.std, ticks)
        self.std = np.clip(grown, settings.least_std, settings.std)

    def deviation(self, number: int) -> Array:
        """See `Distribution`."""
        deviation: Array = self.std * self._scale
        return deviation

    def update(self, U: Array, costs: Array) -> None:
        """See `Distribution`."""
        settings, finite = self._settings, int(np.isfinite(costs).sum())
        count = min(max(2, round(settings.elites * len(U))), finite)
        if count < 2:
            return
        elites = U[np.argsort(costs, kind="stable")[:count]]
        a = settings.smoothing
        self.mean = a * self.mean + (1.0 - a) * elites.mean(axis=0)
        self.std = np.maximum(a * self.std + (1.0 - a) * elites.std(axis=0) / self._scale, settings.least_std)
        self.kept = elites[: round(settings.kept_elites * count)]
