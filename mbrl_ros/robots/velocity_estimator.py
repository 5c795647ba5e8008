"""Joint velocities from positions, for robots that do not measure them.

Differences through a first-order low-pass of cut-off frequency f [Hz], with h the time between the samples,

    v_k = v_{k-1} + (1 - exp(-2 pi f h)) ((q_k - q_{k-1})/h - v_{k-1}),

which delays by about 1 / (2 pi f).
"""

from __future__ import annotations

import numpy as np

from ..types import Array


class VelocityEstimator:
    """Estimates qd from q.

    Parameters
    ----------
    cutoff : f [Hz]
    longest_gap : [s] after a longer time without a sample the estimate begins anew
    """

    def __init__(self, cutoff: float, *, longest_gap: float = 0.5):
        self.cutoff, self.longest_gap = cutoff, longest_gap
        self._last: tuple[float, Array] | None = None
        self._velocity: Array | None = None

    def reset(self) -> None:
        """Forget all samples."""
        self._last, self._velocity = None, None

    def update(self, stamp: float, q: Array) -> Array | None:
        """Return qd (n,) at `stamp` [s] with q (n,); None for the first sample and for the first after a gap."""
        last, self._last = self._last, (stamp, q)
        if last is None or not 0.0 < stamp - last[0] <= self.longest_gap:
            self._velocity = None
            return None
        step = stamp - last[0]
        slope = (q - last[1]) / step
        if self._velocity is None:
            self._velocity = slope
        else:
            self._velocity = self._velocity - np.expm1(-2.0 * np.pi * self.cutoff * step) * (slope - self._velocity)
        return self._velocity
