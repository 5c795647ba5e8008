r"""The planner `random_shooting`: the cheapest of many random command sequences.

    U^i = clip(mean + std w^i),   plan = argmin_i J(U^i),   w colored noise

about the shifted last plan (sampling/planner.py). In a later round the mean is the cheapest so far. Random
search is the plainest planner that there is, the measure for the others (Nagabandi et al. 2018; predictive sampling,
Howell et al. 2022).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..types import Array
from .base import Planner, PlannerContext
from .sampling.planner import SamplingPlanner, populations_of
from .sampling.settings import SamplingSettings, least_noise_setting


@dataclasses.dataclass(frozen=True)
class Settings(SamplingSettings):
    """What all planners that sample have."""

    least_noise: float = least_noise_setting(0.001)


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; see `SamplingPlanner` for what it raises."""
    populations = populations_of(settings.rollouts, settings.iterations)
    return SamplingPlanner("random_shooting", context, settings, Cheapest(settings, context), populations)


class Cheapest:
    """A `Distribution` about the cheapest sequence so far."""

    def __init__(self, settings: Settings, context: PlannerContext):
        self._settings, self._scale = settings, np.ones(context.nu)
        self.mean = np.zeros((context.settings.horizon, context.nu))
        self.kept = np.zeros((0, *self.mean.shape))
        self._cost = np.inf

    def reset(self) -> None:
        """See `Distribution`."""

    def begin(self, mean: Array, scale: Array, ticks: int) -> None:
        """See `Distribution`."""
        self.mean, self._scale, self._cost = mean, scale, np.inf

    def deviation(self, number: int) -> Array:
        """See `Distribution`."""
        deviation: Array = np.full_like(self.mean, self._settings.std) * self._scale
        return deviation

    def update(self, U: Array, costs: Array) -> None:
        """See `Distribution`."""
        i = int(np.argmin(costs))
        if costs[i] < self._cost:
            self.mean, self._cost = U[i], costs[i]
