"""When a trajectory begins: at once, or once its motion has been made outside of the control thread.

The motion through 500 points takes 3 to 900 ms to make. It is a function of what `Joining` holds: the state of the
reference where it is joined, the points that are left then, and the limits. A motion that was made elsewhere counts
only if it was made from the same numbers, so that it is the same to the last bit.

    at once    as long as nobody calls `prepare_in` or `await_told`: in lockstep, in a library, in old recordings
    prepared   the motion is made for a time `at` that is a LEAD ahead, by what `prepare_in` was given; until then the
               reference goes on. What joins from rest and is stamped 0 joins as soon as it is made. If it was not
               made in time, or the reference has changed, it is made again with a longer lead. `on_join` is told `at`.
    told       a replay waits for `tell(at)`, makes the motion itself, and so begins it in the same tick
"""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..exceptions import TargetError
from ..robots import Robot
from ..types import Array
from .segments import Waypoints
from .target_queue import TargetQueue
from .targets import Target
from .tracking import MotionState, TrackingMotion, check_range, motion_through

LEAD = 0.02  # [s] for a motion that is made in time; a longer one takes another attempt
LEAD_SHARE, LEAD_GROWTH = 1.5, 2.0  # of the time that the last attempt took, and of its lead
LOOK_AHEAD = 1.0  # [s] before its stamp, a trajectory is prepared
NEXT_TICK = 1.5  # periods after `at` in which a motion may begin: later it would be a step


@dataclass(frozen=True, eq=False, slots=True)
class Joining:
    """What a motion is made of: position, velocity and acceleration (n,) at its start, points with times from then on.

    velocity, acceleration (n,): limits. late: whether points before these were left out.
    """

    start: MotionState
    points: Waypoints
    velocity: Array
    acceleration: Array
    late: bool

    def equals(self, other: Joining) -> bool:
        """Return whether both are the same to the last bit."""
        return self.late == other.late and all(
            np.array_equal(mine, its, equal_nan=True) for mine, its in zip(self._arrays(), other._arrays(), strict=True)
        )

    def motion(self, robot: Robot) -> TrackingMotion:
        """Return the motion; TargetError if there is none within the limits of `robot`."""
        made = motion_through(self.start, self.points, self.velocity, self.acceleration, late=self.late)
        check_range(made, robot)
        return made

    def _arrays(self) -> tuple[Array, ...]:
        points = self.points
        return *self.start, points.times, points.Q, points.V, points.A, self.velocity, self.acceleration


def left_of(target: Target, stamp: float) -> tuple[Waypoints, bool]:
    """Return the points of a trajectory that are left at `stamp` [s], and whether some are not; TargetError: all."""
    path = target.path
    assert path is not None, "a trajectory has points"
    points = path.after(max(0.0, stamp - (target.stamp or stamp)))
    if not len(points.times):
        raise TargetError("the trajectory has ended before it could begin")
    return points, len(points.times) < len(path.times)


class _Attempt:
    """A motion that is made in another thread: `done` once `result` is there, a motion or why there is none."""

    def __init__(self, target: Target, joining: Joining, at: float, lead: float, robot: Robot):
        self.target, self.joining, self.at, self.lead = target, joining, at, lead
        self._robot = robot
        self.result: TrackingMotion | TargetError | None = None
        self.took, self.done = 0.0, False

    def make(self) -> None:
        """Make the motion; without a result, the control thread makes it and reports the error."""
        begin = time.perf_counter()
        try:
            self.result = self.joining.motion(self._robot)
        except TargetError as error:
            self.result = error
        except Exception:
            traceback.print_exc()
        self.took, self.done = time.perf_counter() - begin, True


class TrajectoryJoins:
    """Tells when the trajectories for `robot` begin, and keeps the motion that was made for the next one."""

    def __init__(self, robot: Robot, dt: float):
        self._robot, self._dt = robot, dt
        self._run: Callable[[Callable[[], None]], bool] | None = None
        self._awaiting, self._told = False, math.nan
        self._joined: Callable[[float], None] = lambda at: None
        self._attempt: _Attempt | None = None
        self.waiting: Target | None = None  # the trajectory that is due

    def prepare_in(self, run: Callable[[Callable[[], None]], bool]) -> None:
        """Make motions in another thread: run(task) does a task there, or returns False if it cannot now."""
        self._run = run

    def await_told(self) -> None:
        """Begin a trajectory when `tell` says so, as a recorded controller did."""
        self._awaiting = True

    def tell(self, at: float) -> None:
        """Let the trajectory that waits join the reference at `at` [s], in the next tick."""
        self._told = at

    def on_join(self, joined: Callable[[float], None]) -> None:
        """Call joined(at) before a prepared motion begins that joins the reference at `at` [s]."""
        self._joined = joined

    @property
    def prepared(self) -> bool:
        """Whether motions are made in another thread."""
        return self._run is not None

    @property
    def deferred(self) -> bool:
        """Whether a trajectory that is due waits until `advance` says when it begins."""
        return self.prepared or self._awaiting

    def advance(
        self, stamp: float, queue: TargetQueue, joining: Callable[[Target, float], Joining]
    ) -> tuple[Target, float] | None:
        """Return the trajectory that begins in the tick of `stamp` [s] and when it joins the reference [s], or None.

        Parameters
        ----------
        stamp
            of the present state.
        queue
            the targets that are due next: the motion of the first one is made within LOOK_AHEAD.
        joining
            returns what the motion of a target is made of if it joins at a time [s]; TargetError if it cannot.
        """
        waiting, at = self.waiting, self._told
        self._told = math.nan
        if waiting is None:
            following = queue.next_before(stamp + LOOK_AHEAD) if self.prepared else None
            if following is not None and following.path is not None:
                self._prepare(following, joining)
            return None
        if self.prepared:
            try:
                at = self._prepared_at(waiting, stamp, joining)
            except TargetError:  # it takes no time to find out
                at = stamp
        if math.isnan(at):
            return None
        self.waiting = None
        if self.prepared:
            self._joined(at)
        return waiting, at

    def motion(self, joining: Joining) -> TrackingMotion:
        """Return the motion of `joining`: the one that was made for it, or made now; TargetError if there is none."""
        attempt, self._attempt = self._attempt, None
        if attempt is None or not attempt.done or attempt.result is None or not attempt.joining.equals(joining):
            return joining.motion(self._robot)
        if isinstance(attempt.result, TargetError):
            raise attempt.result
        return attempt.result

    def _prepare(self, target: Target, joining: Callable[[Target, float], Joining]) -> None:
        """Let the motion be made of a `target` that will be due at its stamp."""
        if self._attempt is None or self._attempt.target is not target:
            with contextlib.suppress(TargetError):  # it will be judged when it is due
                self._begin(target, target.stamp, LEAD, joining)

    def _prepared_at(self, target: Target, stamp: float, joining: Callable[[Target, float], Joining]) -> float:
        """Return when `target`, which is due, joins the reference [s]; NaN: not yet."""
        attempt = self._attempt
        if attempt is None or attempt.target is not target:
            self._begin(target, stamp + LEAD, LEAD, joining)
            return math.nan
        if not attempt.done:
            return math.nan
        for at in (stamp, *([attempt.at] if 0.0 <= stamp - attempt.at <= NEXT_TICK * self._dt else [])):
            if joining(target, at).equals(attempt.joining):
                return at
        if stamp >= attempt.at:
            lead = max(LEAD + LEAD_SHARE * attempt.took, LEAD_GROWTH * attempt.lead)
            self._begin(target, stamp + lead, lead, joining)
        return math.nan

    def _begin(self, target: Target, at: float, lead: float, joining: Callable[[Target, float], Joining]) -> None:
        assert self._run is not None
        attempt = _Attempt(target, joining(target, at), at, lead, self._robot)
        self._attempt = attempt if self._run(attempt.make) else None
