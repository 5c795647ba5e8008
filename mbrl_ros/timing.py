"""How long things took, without remembering everything: the newest values of a quantity and what they amount to.

Also when a tick is due. States may come faster than the control rate and with jitter, so the due times lie on a grid,
d_{k+1} = d_k + dt + g e_k, and the state nearest to a due time is used: the first one stamped d_k - p/2 or later, p the
time between states. e_k, its distance from d_k, pulls the grid along (g = 0.05), so that it follows a stream whose rate
is almost the control rate. A state more than a period late starts the grid anew: a gap is not followed by a burst.
"""

from __future__ import annotations

import math

import numpy as np

PULL = 0.05  # g
SMOOTHING = 0.1  # of p, per state


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
        self._due, self._last, self._spacing = -math.inf, -math.inf, math.nan

    def take(self, stamp: float) -> bool:
        """Whether the state stamped `stamp` [s] is to be used. Call for every state, with rising stamps."""
        spacing, self._last = min(stamp - self._last, self.dt), stamp
        if math.isnan(self._spacing) and math.isfinite(self._due):
            self._spacing = spacing
        elif math.isfinite(self._due):
            self._spacing += SMOOTHING * (spacing - self._spacing)
        late = stamp - self._due
        if late > self.dt:
            self._due = stamp + self.dt
            return True
        if late < -0.5 * self._spacing:
            return False
        self._due += self.dt + PULL * late
        return True


class Lateness:
    """By how many whole periods a command came too late for the state it answers.

    The fastest way from a stamp to its arrival counts as no delay at all (it is part of the configured one); whatever a
    command needs beyond it, in transport, in the scheduler or in computing, is late. A drive that takes commands at its
    own period boundaries goes on with the last one meanwhile, and a model that is not told so learns wrong signs.
    """

    DRIFT = 1e-6  # [s] per state: clocks that drift apart must not look late for ever

    def __init__(self, dt: float):
        self._dt = dt
        self.reset()

    def reset(self) -> None:
        self._fastest = float("inf")

    def earliest(self, stamp: float, arrived: float) -> float:
        """When [s] the state stamped `stamp` [s], which arrived at `arrived` [s], would have arrived the fastest way."""
        return stamp + min(self._fastest, arrived - stamp)

    def periods(self, stamp: float, arrived: float, sent: float) -> int:
        """stamp [s] of the state, when it arrived and when its command was sent [s], both by one clock."""
        self._fastest = min(self._fastest + self.DRIFT, arrived - stamp)
        return max(0, int((sent - stamp - self._fastest) / self._dt))
