r"""The planner `mppi`: model-predictive path integral control, the mean of all samples weighted by their costs.

    U^i = clip(mean + sigma w^i),   p_i ~ exp(-(J^i - min J) / lambda),   mean <- sum_i p_i U^i

(Williams et al. 2017, without the term that charges the noise itself: the cost of commands stands in J). w is colored
noise, which keeps the mean smooth. The temperature is relative, lambda = temperature (median J - min J), so that
neither the unit of the cost nor a sample that costs very much changes the weights. Within a tick sigma may shrink
from round to round, sigma = std decay^round (annealing; Xue et al. 2024).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.section import setting
from ..types import Array
from .base import Planner, PlannerContext
from .sampling.planner import SamplingPlanner, populations_of
from .sampling.settings import SamplingSettings, std_setting


@dataclasses.dataclass(frozen=True)
class Settings(SamplingSettings):
    """What all planners that sample have, and those of the path integral."""

    std: float = std_setting(0.1)
    temperature: float = setting(
        0.03, "temperature of the weights, relative to the median of the costs over the least one", low=1e-9, high=1e9
    )
    std_decay: float = setting(1.0, "standard deviation of a round relative to the one before", low=1e-6, high=1.0)


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; see `SamplingPlanner` for what it raises."""
    populations = populations_of(settings.rollouts, settings.iterations)
    return SamplingPlanner("mppi", context, settings, WeightedMean(settings, context), populations)


class WeightedMean:
    """A `Distribution` about the weighted mean of the last samples."""

    def __init__(self, settings: Settings, context: PlannerContext):
        self._settings, self._scale = settings, np.ones(context.nu)
        self.mean = np.zeros((context.settings.horizon, context.nu))
        self.kept = np.zeros((0, *self.mean.shape))

    def reset(self) -> None:
        """See `Distribution`."""

    def begin(self, mean: Array, scale: Array, ticks: int) -> None:
        """See `Distribution`."""
        self.mean, self._scale = mean, scale

    def deviation(self, number: int) -> Array:
        """See `Distribution`."""
        std = self._settings.std * self._settings.std_decay**number
        deviation: Array = np.full_like(self.mean, std) * self._scale
        return deviation

    def update(self, U: Array, costs: Array) -> None:
        """See `Distribution`."""
        finite = np.isfinite(costs)
        if not finite.any():
            return
        least = costs[finite].min()
        spread = self._settings.temperature * float(np.median(costs[finite]) - least)
        weights = np.exp(-(costs - least) / spread) if spread > 0.0 else (costs == least).astype(float)
        self.mean = np.tensordot(weights / weights.sum(), U, axes=1)
