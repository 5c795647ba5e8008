"""Where a policy was taught: how far a state or a target lies outside of what was seen, over a bound of its own.

    Region      max( |R (x - mean)| / bound,  max_i |x_i - middle_i| / half_i ),    R^T R the inverse covariance of the rows
    Neighbors   min_i |R (x - x_i)| / bound

A score of 1 is the edge of what was seen in teaching, widened by a margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Array


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """mean (k,), factor R (k, k) and the largest |R (x - mean)| that counts as seen, and the box [low, high] (k,)."""

    mean: Array
    factor: Array
    low: Array
    high: Array
    bound: float

    @classmethod
    def of(cls, rows: Array, margin: float, floor: Array) -> Region:
        """The region of `rows` (N, k), `margin` times as wide as they lie; a coordinate may always leave the middle of its
        range by `floor` (k,), or one that rested in teaching could not move.
        """
        mean, factor = rows.mean(axis=0), _whitener(rows, 0.25 * floor)
        low, high = rows.min(axis=0), rows.max(axis=0)
        middle, half = 0.5 * (low + high), np.maximum(0.5 * margin * (high - low), floor)
        return cls(
            mean,
            factor,
            middle - half,
            middle + half,
            margin * float(np.linalg.norm((rows - mean) @ factor.T, axis=1).max()),
        )

    def score(self, rows: Array) -> Array:
        """The larger of |R (x - mean)| / bound and the distance from the box's middle over its half width, of rows (N, k)."""
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        return np.maximum(
            np.linalg.norm((rows - self.mean) @ self.factor.T, axis=1) / self.bound,
            np.abs((rows - middle) / half).max(axis=1),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Neighbors:
    """Points (T, k), factor R (k, k) and the largest |R (x - nearest point)| that counts as seen."""

    points: Array
    factor: Array
    bound: float

    @classmethod
    def of(cls, rows: Array, margin: float, most: int, rng: np.random.Generator) -> Neighbors:
        """`rows` (T, k), at most `most` of them; the bound is `margin` times the distance of the loneliest to the next."""
        if len(rows) > most:
            rows = rows[np.sort(rng.choice(len(rows), most, replace=False))]
        factor = _whitener(rows, np.full(rows.shape[1], 1e-3)) if len(rows) > 1 else np.eye(rows.shape[1])
        white = rows @ factor.T
        apart = np.linalg.norm(white[:, None] - white[None], axis=2) + np.diag(np.full(len(rows), np.inf))
        alone = apart.min(axis=1)
        return cls(rows, factor, margin * (float(alone.max()) if len(rows) > 1 else 1.0))

    def score(self, row: Array) -> float:
        """min_i |R (x - x_i)| / bound for one x (k,)."""
        return float(np.linalg.norm((row - self.points) @ self.factor.T, axis=1).min() / self.bound)


def _whitener(rows: Array, floor: Array) -> Array:
    """R with R^T R the inverse of the rows' covariance plus diag(floor^2)."""
    covariance = np.cov(rows.T).reshape(rows.shape[1], -1) + np.diag(floor**2)
    return np.linalg.inv(np.linalg.cholesky(covariance))
