"""What the student knows of the past: the mean acceleration and the mean command over the last window.

    a = (qd(t) - qd(t - T)) / T,   w = mean of the commands in effect from t - T to t

Both are averages over the same time, so that a constant effort disturbance shows in their difference and noise in qd
counts only over T. While the history is shorter than a window, the averages are over what there is.
"""

from __future__ import annotations

import numpy as np

from ..types import Array


class Window:
    """Histories of qd and of the command in effect, one entry per tick of dt [s], over `seconds`."""

    def __init__(self, n: int, dt: float, seconds: float):
        self.dt, self.length = dt, max(1, round(seconds / dt))
        self._speeds, self._commands = np.zeros((self.length + 1, n)), np.zeros((self.length, n))
        self._stamps = [0.0] * (self.length + 1)
        self._sum = np.zeros(n)
        self._count = 0

    def reset(self) -> None:
        """Forget the history."""
        self._count = 0

    def update(self, stamp: float, qd: Array, u: Array) -> tuple[Array, Array]:
        """Return (a, w), each (n,), at `stamp` [s] with qd (n,) and u (n,), in effect during the period before."""
        k, length = self._count, self.length
        if k and not 0.0 < stamp - self._stamps[(k - 1) % (length + 1)] < 3.0 * self.dt:
            self._count = k = 0
        self._speeds[k % (length + 1)] = qd
        self._stamps[k % (length + 1)] = stamp
        self._count = k + 1
        if k == 0:
            self._sum[:] = 0.0
            return np.zeros_like(self._sum), u
        slot = self._commands[(k - 1) % length]
        if k > length:
            self._sum -= slot
        slot[:] = u
        self._sum += u
        if k % 4096 == 0:  # rounding must not add up
            self._sum = self._commands[: min(k, length)].sum(axis=0)
        first = max(0, k - length) % (length + 1)
        a = (qd - self._speeds[first]) / (stamp - self._stamps[first])
        return a, self._sum / min(k, length)
