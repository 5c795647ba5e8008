r"""Whiten rows whose noise is a moving average, also where rows are missing.

Where y_k = qd_k+1 - qd_k is regressed and velocities are measured with noise, e_k = w_k+1 - g w_k with white w: the
innovations form of a random walk that is measured (Ljung 1999, section 4.2). Filtering every signal by
1 / (1 - g z^-1) whitens it.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array

COLORS = (0.0, 0.6, 0.9)  # g: process noise alone, ... , nearly only measurement noise
STEADY = 1e-6  # a variance this near to that of the steady state is the latter
_COLORS = np.array(COLORS)[:, None]


class WhiteningFilter:
    """Whitens rows (., size) whose noise is a moving average e_k = w_k+1 - g w_k, for each g of COLORS.

    The noise is that of the changes of a random walk that is measured: of its variance per tick Q = (1 - g)^2 the walk
    and R = g the measurement have their share, in units of the innovations'. A Kalman filter whitens it: with the
    variance p of the walk before a row that spans s ticks, and the rows z_k,

        p <- p + (s - 1) Q,   f = p + R,   e_k = z_k + c,   c <- (R / f) e_k,   p <- p R / f + Q

    and e_k / sqrt(f) is white. From p = 1 - g on, f = 1 and the filter is 1 / (1 - g z^-1) while s = 1. It begins with
    a walk known from one measurement, p = R + Q.
    """

    def __init__(self, size: int):
        self._carried = np.zeros((len(COLORS), size))
        self._variances: list[float] = []  # p by color; empty: that of the steady state
        self.restart()

    def restart(self) -> None:
        """Forget the rows before: the next one does not continue them."""
        self._carried[:] = 0.0
        self._variances = [g + (1.0 - g) ** 2 for g in COLORS]

    def filtered(self, rows: Array) -> Array:
        """Return the rows (T, size), whose last entries are the ticks they span, whitened: (colors, T, size)."""
        result = np.empty((len(COLORS), *rows.shape))
        if not self._variances and (rows[:, -1] == 1.0).all():
            for k, row in enumerate(rows):
                np.add(row, self._carried, out=result[:, k])
                np.multiply(_COLORS, result[:, k], out=self._carried)
            return result
        if not self._variances:
            self._variances = [1.0 - g for g in COLORS]
        for k, row in enumerate(rows):
            scale, keep = np.array([self._advance(i, float(row[-1])) for i in range(len(COLORS))]).T[:, :, None]
            innovation = row + self._carried
            np.multiply(scale, innovation, out=result[:, k])
            np.multiply(keep, innovation, out=self._carried)
        if all(abs(p - (1.0 - g)) < STEADY for p, g in zip(self._variances, COLORS, strict=True)):
            self._variances = []
        return result

    def _advance(self, i: int, ticks: float) -> tuple[float, float]:
        """Return 1 / sqrt(f) and R / f for color i and a row that spans `ticks`."""
        g = COLORS[i]
        noise = (1.0 - g) ** 2
        before = self._variances[i] + (ticks - 1.0) * noise
        f = before + g
        self._variances[i] = before * g / f + noise
        return 1.0 / math.sqrt(f), g / f
