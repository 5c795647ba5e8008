"""How long the parts of a tick took and how often something happened, in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter

import numpy as np

from ..types import Array


class Rolling:
    """The newest `size` values of a quantity. One thread writes; others may read."""

    def __init__(self, size: int = 1024):
        self._ring, self._size = array("d", bytes(8 * size)), size  # which takes a value faster than an array of numpy
        self.count = 0

    def add(self, value: float) -> None:
        """Add a value; the oldest one is forgotten when there are more than `size`."""
        self._ring[self.count % self._size] = value
        self.count += 1

    @property
    def _values(self) -> Array:
        return np.array(self._ring[: min(self.count, self._size)])

    def percentiles(self) -> dict[str, float]:
        """Return {"p50", "p99", "max"}; NaN before the first value."""
        values = self._values
        if not values.size:
            return dict.fromkeys(("p50", "p99", "max"), float("nan"))
        p50, p99 = np.percentile(values, (50, 99))
        return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}

    def mean(self) -> float:
        """Return the mean; NaN before the first value."""
        values = self._values
        return float(values.mean()) if values.size else float("nan")


class LoopStatistics:
    """Counts and durations [s] of a control loop, written by its thread.

    `ticks` and `missed` count ticks, `events` {what: count} everything else that is worth a count; `recent_misses`
    holds 1 for a missed tick and 0 for one in time.
    """

    def __init__(self) -> None:
        self.ticks = self.missed = 0
        self.compute, self.latency, self.period = Rolling(), Rolling(), Rolling()
        self.recent_misses = Rolling()
        self.events: Counter[str] = Counter()

    def add_tick(self, compute: float, latency: float, period: float) -> None:
        """Count a tick; `period` [s] is unknown for the first one."""
        self.compute.add(compute)
        self.latency.add(latency)
        self.recent_misses.add(0.0)
        if self.ticks:
            self.period.add(period)
        self.ticks += 1

    def add_miss(self) -> None:
        """Count a missed tick."""
        self.missed += 1
        self.recent_misses.add(1.0)
