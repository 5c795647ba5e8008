"""How far the slope of successive positions may be from their velocity: noise, learned from its changes."""

from __future__ import annotations

import numpy as np

from ..types import Array

NOISE = 3e-4  # [rad or m]: standard deviation of positions that is assumed at the beginning
LARGEST_NOISE = 1e-3  # [rad or m]: standard deviation of positions; more is not measured but of two robots
MEMORY, BEGINNING = 50.0, 5.0  # of the rms: samples; samples that the assumption weighs
LARGEST_CHANGE = 5.0  # of one slope, times the rms
DEVIATIONS = 4.0  # times the rms, that noise explains


class SlopeNoise:
    """rms(s_k - s_{k-1}) of n joints, for the slope s_k = (q_k - q_{k-1}) / h."""

    def __init__(self, n: int):
        self._n, self._seen = n, 0
        self._square: Array | None = None  # rms^2

    def explained(self, step: float) -> Array:
        """Return (n,) by how much slopes over `step` [s] may deviate because of noise [rad/s or m/s]."""
        square = np.full(self._n, 6.0 * (NOISE / step) ** 2) if self._square is None else self._square
        return np.asarray(DEVIATIONS * np.sqrt(square))

    def learn(self, change: Array, step: float) -> None:
        """Take in the change (n,) of the slope over `step` [s], NaN where it is not known."""
        if self._square is None:
            self._square = np.full(self._n, 6.0 * (NOISE / step) ** 2)
        square = np.minimum(change**2, LARGEST_CHANGE**2 * self._square)
        square = np.where(np.isnan(square), self._square, square)
        self._seen += 1
        newest = max(1.0 / MEMORY, 1.0 / (self._seen + BEGINNING))
        square = self._square + newest * (square - self._square)
        self._square = np.minimum(square, 6.0 * (LARGEST_NOISE / step) ** 2)
