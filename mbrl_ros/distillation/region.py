"""Where a policy was taught: how far a state or a target lies outside of that, over a bound of its own.

    Region      max( |R (x - mean)| / bound,  max_i |x_i - middle_i| / half_i ),    R^T R the inverse covariance
    Neighbors   min_i |R (x - x_i)| / bound

A score of 1 is the edge of what was seen in teaching, widened by a margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Array


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """An ellipsoid and a box around taught states of k coordinates.

    mean (k,), factor R (k, k), bound: the largest |R (x - mean)| that counts as seen; low, high (k,): the box.
    """

    mean: Array
    factor: Array
    low: Array
    high: Array
    bound: float

    @classmethod
    def of(cls, rows: Array, margin: float, floor: Array) -> Region:
        """Return the region of `rows` (N, k), `margin` times as wide as they are.

        A coordinate may always be `floor` (k,) away from the middle of its range, or one that rested in teaching could
        not move.
        """
        mean, factor = rows.mean(axis=0), _whitener(rows, 0.25 * floor)
        low, high = rows.min(axis=0), rows.max(axis=0)
        middle, half = 0.5 * (low + high), np.maximum(0.5 * margin * (high - low), floor)
        bound = margin * float(np.linalg.norm((rows - mean) @ factor.T, axis=1).max())
        return cls(mean=mean, factor=factor, low=middle - half, high=middle + half, bound=bound)

    def score(self, rows: Array) -> Array:
        """Return the score (N,) of `rows` (N, k)."""
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        score: Array = np.maximum(
            np.linalg.norm((rows - self.mean) @ self.factor.T, axis=1) / self.bound,
            np.abs((rows - middle) / half).max(axis=1),
        )
        return score


@dataclass(frozen=True, eq=False, slots=True)
class Neighbors:
    """Taught targets: points (T, k), factor R (k, k), bound: the largest |R (x - nearest)| that counts as seen."""

    points: Array
    factor: Array
    bound: float

    @classmethod
    def of(cls, rows: Array, margin: float, most: int, rng: np.random.Generator) -> Neighbors:
        """Return the neighbors of `rows` (T, k), of at most `most` of them.

        The bound is `margin` times the largest distance of a row to the one nearest to it.
        """
        if len(rows) > most:
            rows = rows[np.sort(rng.choice(len(rows), most, replace=False))]
        factor = _whitener(rows, np.full(rows.shape[1], 1e-3)) if len(rows) > 1 else np.eye(rows.shape[1])
        white = rows @ factor.T
        apart = np.linalg.norm(white[:, None] - white[None], axis=2) + np.diag(np.full(len(rows), np.inf))
        nearest = apart.min(axis=1)
        return cls(rows, factor, margin * (float(nearest.max()) if len(rows) > 1 else 1.0))

    def score(self, row: Array) -> float:
        """Return the score of one x (k,)."""
        return float(np.linalg.norm((row - self.points) @ self.factor.T, axis=1).min() / self.bound)


def _whitener(rows: Array, floor: Array) -> Array:
    """Return R with R^T R the inverse of the rows' covariance plus diag(floor^2)."""
    covariance = np.cov(rows.T).reshape(rows.shape[1], -1) + np.diag(floor**2)
    return np.linalg.inv(np.linalg.cholesky(covariance))
