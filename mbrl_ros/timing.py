"""How long things took, without remembering everything: the newest values of a quantity and what they amount to.

Also when a tick is due. States may come faster than the control rate and with jitter, so the due times lie on a grid
of one period, d_{k+1} = d_k + dt; the first state stamped later than d_k - dt/4 is used. A stream that drifts against
the grid by a whole period starts it anew, which costs one period and no burst.
"""

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


class Grid:
    """Which states are due for a tick, by their stamps, for a period dt [s]."""

    def __init__(self, dt: float):
        self.dt = dt
        self.reset()

    def reset(self) -> None:
        self._due = float("-inf")

    def take(self, stamp: float) -> bool:
        """Whether the state stamped `stamp` [s] is to be used; if so, the next one is due a period later."""
        if stamp < self._due - 0.25 * self.dt:
            return False
        late = stamp - self._due
        self._due = (stamp if late > self.dt else self._due) + self.dt
        return True
