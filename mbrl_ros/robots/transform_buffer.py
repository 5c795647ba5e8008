r"""Transforms between named frames as they are told over time: what tf2 calls a buffer.

Each frame but the roots has a parent, p = R p_child + t, for ever (static) or with a stamp. In between two stamps t is
interpolated linearly and R on the shortest great circle of quaternions,

    slerp(a, b, s) = (sin((1 - s) w) a + sin(s w) b) / sin w,     cos w = a . b >= 0 (b or -b),

as tf2 does; where the parent changes in between, the earlier transform holds until the later one. Nothing is
extrapolated. Source: the rules of tf2::BufferCore (geometry2, TimeCache and BufferCore::lookupTransform).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..exceptions import TargetError
from ..types import Array
from .rotation import SMALL_ANGLE, matrix_of
from .time_series import TimeSeries

UNIT_SQUARE = 0.01  # by which the squared norm of a quaternion may differ from 1, as in tf2
MOST_FRAMES = 1000
MOST_STAMPS = 2000  # of a frame


class MissingTimeError(TargetError):
    """A transform is not known at a time, `ahead` [s] of the newest one; negative: before the oldest."""

    def __init__(self, message: str, ahead: float):
        self.ahead = ahead
        super().__init__(message, kind="transform in the future" if ahead > 0.0 else "transform too old")


class Placement(NamedTuple):
    """Where a frame is in its parent: p (3,) [m] and the unit quaternion (x, y, z, w), (4,)."""

    parent: str
    p: Array
    orientation: Array


class Climb(NamedTuple):
    """Where a frame is in one above it, `top`, and the transform's newest stamp [s], infinite if it never changes."""

    top: str
    T: Array
    newest: float


class TransformBuffer:
    """Transforms of the last `age` [s], at most MOST_FRAMES frames with MOST_STAMPS stamps each.

    Moving frames of which nothing has come for so long make room for others.
    """

    def __init__(self, age: float):
        self._age = age
        self._static: dict[str, Placement] = {}
        self._moving: dict[str, TimeSeries[Placement]] = {}
        self._latest = -math.inf  # the newest stamp [s]

    @property
    def frames(self) -> list[str]:
        """The names of all frames, sorted."""
        latest = (series.last for series in self._moving.values())
        parents = {placement.parent for placement in (*self._static.values(), *latest)}
        return sorted(parents.union(self._static, self._moving))

    def clear_moving(self) -> None:
        """Forget what has a stamp: time has begun anew."""
        self._moving, self._latest = {}, -math.inf

    def _forget_silent(self, now: float) -> None:
        """Forget the moving frames of which nothing has come for `age` before `now` [s]."""
        for child in [child for child, series in self._moving.items() if series.newest < now - self._age]:
            del self._moving[child]

    def add(self, parent: str, child: str, stamp: float, p: Array, orientation: Array, *, static: bool = False) -> str:
        """Add a transform; return '' or, if it is left out, the reason why.

        Parameters
        ----------
        parent, child
            frames; a leading slash counts as none.
        stamp
            from when it is [s]; of no meaning for a static one.
        p
            origin of the child in the parent (3,) [m].
        orientation
            quaternion (x, y, z, w) (4,), which takes vectors of the child into the parent.
        """
        parent, child = parent.removeprefix("/"), child.removeprefix("/")
        if not parent or not child:
            return "without a name"
        if parent == child:
            return "of a frame to itself"
        if not (np.isfinite(p).all() and np.isfinite(orientation).all() and math.isfinite(stamp)):
            return "not finite"
        square = float(orientation @ orientation)
        if abs(square - 1.0) > UNIT_SQUARE:
            return "not a unit quaternion"
        if child not in self._static and child not in self._moving and self._count() >= MOST_FRAMES:
            self._forget_silent(max(stamp, self._latest))
            if self._count() >= MOST_FRAMES:
                return "too many frames"
        placement = Placement(parent, p, orientation / math.sqrt(square))
        if static:
            self._moving.pop(child, None)
            self._static[child] = placement
            return ""
        self._static.pop(child, None)
        self._latest = max(self._latest, stamp)
        series = self._moving.get(child)
        if series is None:
            series = self._moving[child] = TimeSeries(self._age, MOST_STAMPS)
        return "" if series.add(stamp, placement) else "late or repeated"

    def upward(self, frame: str, stamp: float | None) -> Iterator[Climb]:
        """Yield where `frame` is in itself, in its parent, in the parent of that one, up to the root of its tree.

        Parameters
        ----------
        frame
            where to begin; one that nothing is known of is a root.
        stamp
            when [s]; None: each transform is the newest.

        Raises
        ------
        MissingTimeError
            The next transform is not known at this time.
        TargetError
            The transforms form a loop.
        """
        T, newest, at = np.eye(4), math.inf, frame
        for _ in range(self._count() + 1):
            yield Climb(at, T, newest)
            placement = self._static.get(at)
            if placement is None:
                series = self._moving.get(at)
                if series is None:
                    return
                newest = min(newest, series.newest)
                placement = series.last if stamp is None else _between(at, series, stamp)
            T, at = _matrix(placement) @ T, placement.parent
        raise TargetError(f"the transforms above frame '{frame}' form a loop, which goes through '{at}'", kind="loop")

    def lookup(self, target: str, source: str, stamp: float | None = None) -> Array:
        """Return T (4, 4), which takes points of `source` into `target`, at `stamp` [s].

        None is the newest time at which all transforms between both are known; where none has a stamp, any time.

        Raises
        ------
        MissingTimeError
            A transform in between is not known at this time.
        TargetError
            Nothing connects the two, or the transforms form a loop.
        """
        T, newest = self._connect(target, source, stamp)
        return T if stamp is not None or newest == math.inf else self._connect(target, source, newest)[0]

    def _connect(self, target: str, source: str, stamp: float | None) -> tuple[Array, float]:
        """Return T (4, 4) of `source` in `target` by the lowest frame above both, and the newest stamp in between."""
        above, missing = self.above(source, stamp)
        for climb in self.upward(target, stamp):
            if climb.top in above:
                found = above[climb.top]
                return inverse(climb.T) @ found.T, min(climb.newest, found.newest)
        raise missing or TargetError(
            f"frames '{source}' and '{target}' are not connected: their trees have the roots '{list(above)[-1]}' and "
            f"'{climb.top}'",
            kind="not connected",
        )

    def above(self, frame: str, stamp: float | None) -> tuple[dict[str, Climb], TargetError | None]:
        """Return {frame above: the climb to it} as far as it goes, and what was in the way; see `upward`."""
        found: dict[str, Climb] = {}
        try:
            for climb in self.upward(frame, stamp):
                found[climb.top] = climb
        except TargetError as error:
            return found, error
        return found, None

    def _count(self) -> int:
        return len(self._static) + len(self._moving)


def inverse(T: Array) -> Array:
    """Return the inverse of the rigid transform T (4, 4)."""
    found = np.eye(4)
    found[:3, :3] = T[:3, :3].T
    found[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return found


def slerp(a: Array, b: Array, share: float) -> Array:
    """Return the unit quaternion (4,) at `share` of the way from a to b (4,), on the shorter one of both ways."""
    cosine = float(a @ b)
    if cosine < 0.0:
        b, cosine = -b, -cosine
    angle = math.acos(min(1.0, cosine))
    if angle < SMALL_ANGLE:
        mean = (1.0 - share) * a + share * b
        return np.asarray(mean / math.sqrt(float(mean @ mean)))
    return np.asarray((math.sin((1.0 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle))


def _between(frame: str, series: TimeSeries[Placement], stamp: float) -> Placement:
    """Return where a frame is in its parent at `stamp` [s]; MissingTimeError if that is not known."""
    found = series.at(stamp)
    if found is None:
        ahead = stamp - series.newest if stamp > series.newest else stamp - series.oldest
        side = f"{ahead:.3f} s later than the newest" if ahead > 0.0 else f"{-ahead:.3f} s before the oldest"
        raise MissingTimeError(f"the time asked for is {side} transform of frame '{frame}' that is known", ahead)
    before, after, share = found
    if share == 0.0 or before.parent != after.parent:
        return before
    p = before.p + share * (after.p - before.p)
    return Placement(before.parent, p, slerp(before.orientation, after.orientation, share))


def _matrix(placement: Placement) -> Array:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = matrix_of(placement.orientation), placement.p
    return T
