"""Where a policy was taught: how far a state or a target lies outside of that, over a bound of its own.

    Region      max( |R (x - mean)| / bound,  max_i |x_i - middle_i| / half_i ),    R^T R the inverse covariance
    Neighbors   min_i |R (x - x_i)| / bound

A score of 1 is the edge of what was seen in teaching, widened by a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    @classmethod
    def union(cls, regions: Sequence[Region]) -> Region:
        """Return a region that holds every one of `regions`: of their mixture's mean and covariance."""
        mean = np.mean([r.mean for r in regions], axis=0)
        shapes = [np.linalg.inv(r.factor) for r in regions]
        shifts = [r.mean - mean for r in regions]
        pairs = list(zip(shapes, shifts, strict=True))
        factor = _inverse_root(np.mean([S @ S.T + np.outer(d, d) for S, d in pairs], axis=0))
        bound = max(
            float(np.linalg.norm(factor @ d) + np.linalg.norm(factor @ S, 2) * r.bound)
            for r, (S, d) in zip(regions, pairs, strict=True)
        )
        low, high = np.min([r.low for r in regions], axis=0), np.max([r.high for r in regions], axis=0)
        return cls(mean=mean, factor=factor, low=low, high=high, bound=bound)

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

    @classmethod
    def union(cls, parts: Sequence[Neighbors], most: int, rng: np.random.Generator) -> Neighbors:
        """Return the neighbors of all points of `parts`, of at most `most` of them, and as wide as the widest part."""
        points = np.unique(np.concatenate([part.points for part in parts]), axis=0)
        if len(points) > most:
            points = points[np.sort(rng.choice(len(points), most, replace=False))]
        inverses = [np.linalg.inv(part.factor) for part in parts]
        factor = _inverse_root(np.mean([S @ S.T for S in inverses], axis=0))
        widths = zip(parts, inverses, strict=True)
        return cls(points, factor, max(float(np.linalg.norm(factor @ S, 2)) * part.bound for part, S in widths))

    def score(self, row: Array) -> float:
        """Return the score of one x (k,)."""
        return float(np.linalg.norm((row - self.points) @ self.factor.T, axis=1).min() / self.bound)


def _whitener(rows: Array, floor: Array) -> Array:
    """Return R with R^T R the inverse of the rows' covariance plus diag(floor^2)."""
    covariance = np.cov(rows.T).reshape(rows.shape[1], -1) + np.diag(floor**2)
    return _inverse_root(covariance)


def _inverse_root(covariance: Array) -> Array:
    """Return R with R^T R the inverse of `covariance` (k, k)."""
    return np.linalg.inv(np.linalg.cholesky(covariance))
