r"""A path of the joints around obstacles: RRT-Connect, shortened, then timed so that its blended corners pass, too.

Two trees grow, from the start and from the goal (Kuffner, LaValle, ICRA 2000). In each iteration one is extended
towards a posture that is drawn uniformly between the joint limits, by at most STEP, as far as the straight way is
clear; then the other is led towards the new posture as far as that way is clear. Where it arrives, the path is found.
A straight way is clear if postures at most WAY_RESOLUTION apart on it are (collision/clear.py).

The path is shortened SHORTCUTS times: two of its points are drawn and joined straight where that is clear. Corners that
are not needed are left out.

Its times let the fastest joint move at its limit on each piece. A motion through the corners (tracking.py) blends them,
and passes beside them by dv h / 4. The pieces next to where it is not passable are slowed down by SLOWED_BY until it is
passable everywhere, at most SLOWINGS times: the deviation falls with the square of the speed, and so does the way on
which an arm comes to rest. What is passable must ask for less than what is clear, because the motion is looked at in
other postures than the path was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exceptions import TargetError
from ..robots import Robot
from ..types import Array, JointVector
from .segments import Waypoints
from .tracking import TrackingMotion, motion_through

Clear = Callable[[Array], NDArray[np.bool_]]  # of postures (T, n): (T,)
Passable = Callable[[Array, Array], NDArray[np.bool_]]  # of postures and velocities (T, n): (T,)
STEP = 0.6  # [rad or m]: length of an extension, of the joint that moves most
WAY_RESOLUTION = 0.03  # [rad or m] between two postures that are looked at, of the joint that moves most
SHORTCUTS = 150
WIDEST_TURN = np.pi  # [rad] either way: joints that turn further are drawn so far only
SLOWED_BY, SLOWINGS = 1.25, 14
SAMPLED = 0.01  # [s] between two postures of the motion that are looked at
TIME_SPARED = 1.001  # of the times of the fastest motion: they can be kept, rounded as they are in a message
SHORTEST_WAY = 0.02  # [s] of a piece
LENGTHENED, LENGTHENINGS = 1.1, 100  # of a piece that is too short for its corners


class PlannedPath(NamedTuple):
    """Corners (M, n) of a path after its start, with their times, and the motion through them from rest to rest."""

    points: Waypoints
    motion: TrackingMotion


class PathPlanner:
    """Plans for `robot` a path of postures that are `clear`, whose motion is `passable`; the same for a `seed`."""

    def __init__(self, robot: Robot, clear: Clear, passable: Passable, *, seed: int, iterations: int):
        self._clear, self._passable, self._seed, self._iterations = clear, passable, seed, iterations
        span = np.where(robot.bounded, np.inf, WIDEST_TURN)
        self._lower = np.maximum(robot.position_lower, -span)
        self._upper = np.minimum(robot.position_upper, span)

    def path(self, start: JointVector, goal: JointVector) -> Array | None:
        """Return the corners (M, n) of a clear path with start and goal (n,); None where none was found."""
        if not self._clear(np.stack((start, goal))).all():
            return None
        if self._way(start, goal) is None:
            return np.stack((start, goal))
        rng = np.random.default_rng(self._seed)
        trees = [_Tree(start), _Tree(goal)]
        for number in range(self._iterations):
            one, other = trees[number % 2], trees[1 - number % 2]
            drawn = rng.uniform(np.minimum(self._lower, start), np.maximum(self._upper, start))
            new = self._grown(one, drawn, STEP)
            if new is None:
                continue
            met = self._grown(other, one.Q[new], np.inf)
            if met is not None and np.array_equal(other.Q[met], one.Q[new]):
                halves = one.root_way(new), other.root_way(met)
                first, second = halves if one is trees[0] else halves[::-1]
                return self._shortened(np.concatenate((first, second[::-1][1:])), rng)
        return None

    def timed(self, path: Array, velocity: Array, acceleration: Array) -> PlannedPath:
        """Return the corners (M, n) of a path with times, within limits (n,).

        Raises
        ------
        TargetError
            No motion through them is passable, or within the limits.
        """
        rest = (path[0], np.zeros(len(velocity)), np.zeros(len(velocity)))
        pieces = _times(path, velocity, acceleration)
        for _ in range(SLOWINGS):
            asked = Waypoints.of(np.cumsum(pieces), path[1:])
            motion = motion_through(rest, asked, velocity, acceleration, late=False)
            points = dataclasses.replace(asked, times=TIME_SPARED * motion.slowdown * (asked.times + motion.delay))
            motion = motion_through(rest, points, velocity, acceleration, late=False)
            times = np.linspace(0.0, motion.duration, int(np.ceil(motion.duration / SAMPLED)) + 1)
            Q, V = motion.at_times(times), motion.at_times(times, 1)
            passable = self._passable(Q, V)
            if passable.all():
                return PlannedPath(points, motion)
            pieces[_pieces_at(points.times, times[~passable])] *= SLOWED_BY
        raise TargetError("the motion around obstacles is not passable where its corners are blended")

    def _grown(self, tree: _Tree, to: JointVector, most: float) -> int | None:
        """Extend the tree from its nearest posture towards another (n,), by at most `most`; return the new one."""
        near = tree.nearest(to)
        way = to - tree.Q[near]
        length = float(np.abs(way).max())
        aim = to if length <= most else tree.Q[near] + most / length * way
        reached = self._way(tree.Q[near], aim)
        if reached is None:
            return tree.add(aim, near)
        return None if reached is tree.Q[near] else tree.add(reached, near)

    def _way(self, start: JointVector, end: JointVector) -> JointVector | None:
        """Return None if the straight way between postures (n,) is clear, else the last clear posture on it."""
        count = max(1, int(np.ceil(np.abs(end - start).max() / WAY_RESOLUTION)))
        Q = start + np.linspace(0.0, 1.0, count + 1)[1:, None] * (end - start)
        clear = self._clear(Q)
        if clear.all():
            return None
        blocked = int(np.argmin(clear))
        return start if blocked == 0 else np.asarray(Q[blocked - 1])

    def _shortened(self, path: Array, rng: np.random.Generator) -> Array:
        """Return a path (M', n) with the same ends whose pieces are clear, by straight ways between points of it."""
        for _ in range(SHORTCUTS if len(path) > 2 else 0):
            lengths = np.abs(np.diff(path, axis=0)).max(axis=1)
            ends = np.concatenate(([0.0], np.cumsum(lengths)))
            first, last = np.sort(rng.uniform(0.0, ends[-1], 2))
            i, j = (min(int(np.searchsorted(ends, s, side="right")) - 1, len(lengths) - 1) for s in (first, last))
            if i == j:
                continue
            a, b = (path[k] + (s - ends[k]) / lengths[k] * (path[k + 1] - path[k]) for k, s in ((i, first), (j, last)))
            if self._way(a, b) is None:
                path = np.concatenate((path[: i + 1], a[None], b[None], path[j + 1 :]))
        return self._without_needless(path)

    def _without_needless(self, path: Array) -> Array:
        """Return the path (M', n) without corners that a straight, clear way leaves out."""
        kept, i = [path[0]], 0
        while i < len(path) - 1:
            j = len(path) - 1
            while j > i + 1 and self._way(path[i], path[j]) is not None:
                j -= 1
            kept.append(path[j])
            i = j
        return np.array(kept)


def _times(path: Array, velocity: Array, acceleration: Array) -> Array:
    """Return durations (M - 1,) [s] of the pieces of a path (M, n) that leave its corners room to be blended.

    A step dv of the velocity is blended over max_j |dv_j| / a_j, half of it on either side. Where that is more than a
    piece lasts, at its corners the velocity steps by less once it lasts longer.
    """
    ways = np.diff(path, axis=0)
    pieces: Array = np.maximum((np.abs(ways) / velocity).max(axis=1), SHORTEST_WAY)
    rest = np.zeros((1, path.shape[1]))
    for _ in range(LENGTHENINGS):
        speeds = np.concatenate((rest, ways / pieces[:, None], rest))
        blends = (np.abs(np.diff(speeds, axis=0)) / acceleration).max(axis=1)
        blends[[0, -1]] *= 2.0  # a ramp to or from rest lies within the piece
        short = 0.5 * (blends[:-1] + blends[1:]) > pieces
        if not short.any():
            break
        pieces[short] *= LENGTHENED
    return pieces


def _pieces_at(ends: Array, times: Array) -> NDArray[np.intp]:
    """Return the pieces, which end at `ends` (P,) [s], that `times` (T,) lie in, and those before and after them."""
    within = np.searchsorted(ends[:-1], times)
    return np.unique(np.clip(np.concatenate((within - 1, within, within + 1)), 0, len(ends) - 1))


class _Tree:
    """Postures Q, the first of which is the root, each with the number of the one before it."""

    def __init__(self, root: JointVector):
        self._rows, self._before = np.array(root)[None], [-1]
        self._count = 1

    @property
    def Q(self) -> Array:
        """The postures (count, n)."""
        return self._rows[: self._count]

    def nearest(self, q: JointVector) -> int:
        """Return the number of the posture nearest to q (n,)."""
        return int(np.square(self.Q - q).sum(axis=1).argmin())

    def add(self, q: JointVector, before: int) -> int:
        """Add a posture (n,) after another; return its number."""
        if self._count == len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        self._rows[self._count] = q
        self._before.append(before)
        self._count += 1
        return self._count - 1

    def root_way(self, number: int) -> Array:
        """Return the postures (M, n) from the root to one of the tree."""
        numbers = [number]
        while self._before[numbers[-1]] >= 0:
            numbers.append(self._before[numbers[-1]])
        return np.array([self._rows[k] for k in reversed(numbers)])
