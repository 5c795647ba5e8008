"""Where a policy was taught: how far a state or a target lies outside of that, over a bound of its own.

    Region      max( |R (x - mean)| / bound,  max_i |x_i - middle_i| / half_i ),    R^T R the inverse covariance
    Neighbors   min_i |R (x - x_i)| / bound

A score of 1 is the edge of what was seen in teaching, widened by a margin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Array

MOST_POINTS, MOST_PARTS = 10_000, 32
WORST_CONDITION = 1e12  # of a factor R; one of a region has 1e6 where coordinates differ by as much
LARGEST_PARAMETER = 1e9  # of a weight, a scale or a bound
_ARRAYS = {"states": ("mean", "factor", "low", "high"), "targets": ("points", "factor")}


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


@dataclass(frozen=True, eq=False, slots=True)
class Taught:
    """Where tasks `first` to `last` - 1 were taught. Of several parts the smallest score counts."""

    states: Region
    targets: Neighbors
    first: int
    last: int


def state_scores(taught: Sequence[Taught], rows: Array, task: NDArray[np.int64] | int) -> Array:
    """Return the scores (N,) of states (N, k) of `task`, one number or (N,)."""
    return _smallest(taught, len(rows), task, lambda part, at: part.states.score(rows[at]))


def target_scores(taught: Sequence[Taught], rows: Array, task: NDArray[np.int64] | int) -> Array:
    """Return the scores (N,) of targets (N, nt) of `task`, one number or (N,)."""
    return _smallest(taught, len(rows), task, lambda part, at: np.array([part.targets.score(x) for x in rows[at]]))


def taught_arrays(taught: Sequence[Taught]) -> dict[str, Array]:
    """Return the arrays of parts in a policy's file; the names of those of the first part are without a number."""
    return {
        f"{_prefix(number)}{kind}.{name}": getattr(getattr(part, kind), name)
        for number, part in enumerate(taught)
        for kind, names in _ARRAYS.items()
        for name in names
    }


def taught_parts(parts: Any, arrays: dict[str, Array], k: int, nt: int, tasks: int) -> tuple[Taught, ...]:
    """Return the parts of a policy's file.

    Parameters
    ----------
    parts : of each [first, last, bound of the states, bound of the targets]
    arrays : as of `taught_arrays`
    k, nt, tasks : coordinates of a state and of a target, and how many tasks the policy knows

    Raises
    ------
    ValueError : an array has another shape or is singular, a region is empty, or a task has no part
    """
    if not 1 <= len(parts) <= MOST_PARTS:
        raise ValueError(f"{len(parts)} parts, of 1 to {MOST_PARTS}")
    found = []
    for number, (first, last, *bounds) in enumerate(parts):
        if not (type(first) is int and type(last) is int and 0 <= first < last <= tasks):
            raise ValueError(f"part {number} is of the tasks {first!r} to {last!r}, there are {tasks}")
        state_bound, target_bound = map(float, bounds)
        if not all(0.0 < bound <= LARGEST_PARAMETER for bound in (state_bound, target_bound)):
            raise ValueError(
                f"bounds must lie in (0, {LARGEST_PARAMETER:g}]: the taught region is empty, or everything"
            )
        states, targets = (
            {name: arrays[f"{_prefix(number)}{kind}.{name}"] for name in _ARRAYS[kind]} for kind in _ARRAYS
        )
        _check(states, targets, k, nt)
        found.append(Taught(Region(**states, bound=state_bound), Neighbors(**targets, bound=target_bound), first, last))
    missing = set(range(tasks)).difference(*(range(part.first, part.last) for part in found))
    if missing:
        raise ValueError(f"no part is of the task {min(missing)}")
    return tuple(found)


def _check(states: dict[str, Array], targets: dict[str, Array], k: int, nt: int) -> None:
    """Raise ValueError unless the arrays are those of a Region of k and of Neighbors of nt coordinates."""
    sizes = {"mean": (k,), "factor": (k, k), "low": (k,), "high": (k,)}
    points = targets["points"]
    for name, array, size in (
        *((f"states.{name}", states[name], size) for name, size in sizes.items()),
        ("targets.factor", targets["factor"], (nt, nt)),
        ("targets.points", points, (*points.shape[:1], nt)),
    ):
        if array.shape != size:
            raise ValueError(f"'{name}' has shape {array.shape}, expected {size}")
    if not 1 <= len(points) <= MOST_POINTS:
        raise ValueError(f"'targets.points' holds {len(points)}, at most {MOST_POINTS}, and at least one")
    if (states["high"] <= states["low"]).any():
        raise ValueError("the taught region is empty")
    for name, factor in (("states.factor", states["factor"]), ("targets.factor", targets["factor"])):
        if not np.linalg.cond(factor) <= WORST_CONDITION:
            raise ValueError(f"'{name}' is singular")


def _prefix(number: int) -> str:
    """Return what the names of a part's arrays begin with."""
    return f"part{number}." if number else ""


def _smallest(
    taught: Sequence[Taught],
    count: int,
    task: NDArray[np.int64] | int,
    score: Callable[[Taught, NDArray[np.bool_]], Array],
) -> Array:
    """Return the smallest score (count,) of the parts of each row's task."""
    smallest, tasks = np.full(count, np.inf), np.broadcast_to(task, count)
    for part in taught:
        at = (part.first <= tasks) & (tasks < part.last)
        smallest[at] = np.minimum(smallest[at], score(part, at))
    return smallest


def _whitener(rows: Array, floor: Array) -> Array:
    """Return R with R^T R the inverse of the rows' covariance plus diag(floor^2)."""
    covariance = np.cov(rows.T).reshape(rows.shape[1], -1) + np.diag(floor**2)
    return np.linalg.inv(np.linalg.cholesky(covariance))
