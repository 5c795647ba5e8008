"""How long things took, without remembering everything: the newest values of a quantity and what they amount to."""

from __future__ import annotations

import numpy as np


class Rolling:
    """The newest `size` values. Written by one thread; others may read, and see each value or not."""

    def __init__(self, size: int = 1024):
        self._values = np.zeros(size)
        self.count = 0

    def add(self, value: float) -> None:
        self._values[self.count % self._values.size] = value
        self.count += 1

    def percentiles(self) -> dict[str, float]:
        """{"p50", "p99", "max"}; NaN before the first value."""
        values = self._values[: min(self.count, self._values.size)]
        if not values.size:
            return dict.fromkeys(("p50", "p99", "max"), float("nan"))
        p50, p99 = np.percentile(values, (50, 99))
        return {"p50": float(p50), "p99": float(p99), "max": float(values.max())}

    def mean(self) -> float:
        values = self._values[: min(self.count, self._values.size)]
        return float(values.mean()) if values.size else float("nan")
