r"""Limits of states by a relaxed logarithmic barrier (Hauser & Saccon, CDC 2006; Feller & Ebenbauer, IEEE TAC 2017).

With z the distance to a limit in half ranges, delta the precision and P the penalty, a limit costs P delta b(z),

    b(z) = -ln z  for z > delta,   else  ((z / delta - 2)^2 - 1) / 2 - ln delta

the parabola with the same value, slope and curvature at z = delta. A cost pressing with less than P per half range is
held inside the limit. delta shrinks to its end in steps of ten and stays there. The specification of barrier.h.
"""

from __future__ import annotations

import numpy as np

from ...types import Array


class Barrier:
    """All limits of one planner.

    `limited`: (state, side) of each limit, side +1 upper, -1 lower; x_lower, x_upper, half_range (nx,); penalty P.
    """

    def __init__(
        self, limited: tuple[tuple[int, int], ...], x_lower: Array, x_upper: Array, half_range: Array, penalty: float
    ):
        self.state = np.array([i for i, _ in limited], dtype=int)
        self.side = np.array([side for _, side in limited], dtype=float)
        self._bound = np.where(self.side > 0, x_upper[self.state], x_lower[self.state])
        self._half_range, self._penalty = half_range[self.state], penalty

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.state.size > 0

    def distance(self, X: Array) -> Array:
        """Return z of every limit (..., limits) at X (..., nx)."""
        z: Array = self.side * (self._bound - X[..., self.state]) / self._half_range
        return z

    def value(self, X: Array, delta: float) -> Array:
        """Return the costs (..., limits) at X (..., nx)."""
        z = self.distance(X)
        parabola = 0.5 * ((z / delta - 2.0) ** 2 - 1.0) - np.log(delta)
        costs: Array = self._penalty * delta * np.where(z > delta, -np.log(np.maximum(z, delta)), parabola)
        return costs

    def add_to(self, V: Array, s: Array, x: Array, delta: float) -> None:
        """Add second derivatives to V (.., nx or more, the same) and first ones to s at x (nx,)."""
        z, i = self.distance(x), self.state
        slope = self._penalty * np.where(z > delta, -delta / np.maximum(z, delta), z / delta - 2.0)
        curvature = self._penalty * np.where(z > delta, delta / np.maximum(z, delta) ** 2, 1.0 / delta)
        np.add.at(s, i, -self.side * slope / self._half_range)
        np.add.at(V, (i, i), curvature / self._half_range**2)
