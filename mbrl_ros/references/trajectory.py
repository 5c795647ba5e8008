"""References: trajectories to a target that ask for no more than the joints allow.

A joint target becomes a jerk-limited, time-synchronised trajectory within fractions of the robot's limits
(jerk_trajectory.py); an end-effector target becomes a joint target by inverse kinematics, and its reference
is the image of the joint trajectory under the forward kinematics; a feature target moves on a straight line in
the image; a joint trajectory becomes a motion through its points (tracking.py). A step in the reference is never handed
to a planner that still learns: measured, it diverges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..robots import Robot
from ..types import Array
from .jerk_motion import JerkMotion, make_jerk_motion
from .jerk_trajectory import JerkTrajectory, to_rest
from .jerk_velocity import to_velocity
from .jog_motion import JogMotion
from .rejoined_path import RejoinedPath, rejoined
from .segments import Piecewise, Waypoints
from .tracking import TrackingMotion
from .trajectory_joins import Joining


class Trajectory(Protocol):
    """A motion over time."""

    duration: float

    def at_time(self, time: float) -> tuple[ArrayLike, ArrayLike, ArrayLike]:
        """Return position, velocity and acceleration `time` [s] after its beginning, 0 <= time <= duration."""


class SmoothReference:
    """A reference y(t) of `size` coordinates, sampled every dt, moving to its goal within the given limits."""

    def __init__(self, dt: float, velocity: Array, acceleration: Array, jerk: Array):
        self.dt, self.size = dt, np.size(velocity)
        self._velocity, self._acceleration, self._jerk = np.array(velocity), np.array(acceleration), np.array(jerk)
        self._max_velocity: Array = self._velocity  # at present
        self._max_acceleration: Array = self._acceleration
        self._share = self._own_share = 1.0
        self._trajectory: Trajectory = JerkTrajectory((), (), (), 0.0)
        self._start: Array = np.zeros(self.size)
        self._goal: Array = self._start
        self._begin = self.duration = 0.0
        self._polynomials: JerkMotion | None = None  # of the present motion, once they have been asked for
        self._awaited: tuple[Array, float] | None = None  # the goal that waits, and until when
        self._tracked = 0.0, 0.0  # [s]: begin and end of the last trajectory's motion, as it was made

    def reset(self, y: Array, stamp: float) -> None:
        """Rest at y (size,) from `stamp` on."""
        self._start = self._goal = np.array(y, dtype=np.float64)
        self._begin, self.duration = stamp, 0.0
        self._awaited = None

    def limit(self, share: float) -> None:
        """Keep to `share` (0, 1] of the velocities and accelerations given at first, from the next motion on."""
        self._share = share
        self.slow_down(self._own_share)

    def slow_down(self, share: float) -> None:
        """Keep to `share` (0, 1] of what `limit` leaves, from the next motion on."""
        self._own_share = share
        both = self._share * share
        self._max_velocity, self._max_acceleration = both * self._velocity, both * self._acceleration

    def go_to(self, goal: Array, stamp: float, start: tuple[Array, Array, Array] | None = None) -> None:
        """Start at `stamp` from `start` (position, velocity, acceleration), by default where the reference is then."""
        start = self.motion_at(stamp) if start is None else start
        limits = self._max_velocity.tolist(), self._max_acceleration.tolist(), self._jerk.tolist()
        with _refusing(f"no trajectory to {np.round(goal, 4).tolist()}", start):
            self._move(to_rest(_numbers(start), np.asarray(goal).tolist(), *limits), start, stamp)
        self._goal = np.array(goal, dtype=np.float64)

    def wait(self, stamp: float) -> None:
        """Come to rest, and let the first `go_on` later than `stamp` go on to the goal."""
        goal = self._goal if self._awaited is None else self._awaited[0]
        self.stop(stamp)
        self._awaited = goal, stamp

    def go_on(self, stamp: float) -> None:
        """Go on to the goal that waits since before `stamp`, if one does."""
        if self._awaited is not None and stamp > self._awaited[1]:
            self.go_to(self._awaited[0], stamp)

    def stop(self, stamp: float, start: tuple[Array, Array, Array] | None = None) -> Array:
        """Come to rest from `start`, as for `go_to`, as soon as the limits allow; return where that is (size,)."""
        start = self.motion_at(stamp) if start is None else start
        limits = self._acceleration.tolist(), self._jerk.tolist()  # however slowly it may move: brake
        with _refusing("no way to stop", start):
            self._move(to_velocity(_numbers(start), [0.0] * self.size, *limits), start, stamp)
        self._goal = np.array(self._trajectory.at_time(self.duration)[0])
        return self._goal

    def jog(self, velocity: Array, stamp: float, until: float, lower: Array, upper: Array) -> None:
        """Go over to `velocity` (size,), keep it until `until` [s], then come to rest.

        It comes to rest sooner where it would end outside of [lower, upper] otherwise; where even that is too late, the
        motion before goes on to its end.
        """
        start = self.motion_at(stamp)
        limits = {
            "acceleration": self._max_acceleration,
            "braking": self._acceleration,
            "jerk": self._jerk,
        }
        motion = JogMotion(start, velocity, until - stamp, **limits)
        if not motion.end_within(lower, upper, min(self.dt, until - stamp)):
            if self._awaited is None and (lower <= self._goal).all() and (self._goal <= upper).all():
                return
            motion = JogMotion(start, np.zeros(self.size), 0.0, **limits)
        self._trajectory, self._start, self._begin, self.duration = motion, start[0], stamp, motion.duration
        self._goal, self._awaited = motion.rest, None

    @property
    def goal(self) -> Array:
        """Where it comes to rest (size,)."""
        return self._goal

    @property
    def fastest(self) -> Array:
        """The velocities (size,) that it keeps to at present."""
        return np.array(self._max_velocity)

    def _move(self, motion: JerkTrajectory, start: tuple[Array, Array, Array], stamp: float) -> None:
        self._trajectory, self._start, self._begin, self.duration = motion, start[0], stamp, motion.duration
        self._polynomials, self._awaited = None, None

    def joining(self, points: Waypoints, stamp: float, *, late: bool) -> Joining:
        """Return what a motion is made of that passes `points` from `stamp` on, from where the reference is then.

        Parameters
        ----------
        points
            Their times count from `stamp`.
        stamp
            When the motion begins [s].
        late
            Whether points before these were left out, see `motion_through`.
        """
        limits = self._max_velocity, self._max_acceleration
        return Joining(self.motion_at(stamp), points, *limits, late)

    def track(self, motion: TrackingMotion, joining: Joining, stamp: float) -> str:
        """Begin the motion of `joining` at `stamp` [s], and rest at its last point.

        Returns
        -------
        str
            In which way it differs from what was asked for; empty if in none.
        """
        self._trajectory, self._start, self._goal = motion, joining.start[0], joining.points.Q[-1].copy()
        self._begin, self.duration = stamp, motion.duration
        self._tracked, self._awaited = (stamp, stamp + motion.duration), None
        return motion.describe()

    def rejoin(self, q: Array, qd: Array, stamp: float) -> None:
        """Let a motion along a trajectory go on from q, qd (size,) at `stamp` [s]; others stay as they are."""
        path = self._trajectory
        if self.duration == 0.0 or not isinstance(path, Piecewise | RejoinedPath):
            return
        limits = self._max_velocity, self._acceleration
        self._trajectory = rejoined(path, stamp - self._begin, q, qd, *limits)
        self._start, self._begin, self.duration = np.array(q), stamp, self._trajectory.duration

    def frozen(self) -> SmoothReference:
        """Return a copy that the next motions do not change; only to be read."""
        copied = object.__new__(SmoothReference)
        copied.__dict__.update(self.__dict__)  # copy.copy takes ten times as long
        copied._polynomials = None  # they have memory of their own
        return copied

    @property
    def begin(self) -> float:
        """When the present motion began [s], for the first time where it was rejoined."""
        return self._begin if self._rejoined is None else self._tracked[0]

    @property
    def held_for(self) -> float:
        """By how much a trajectory ends later [s] than it was to, because the arm was kept from following it."""
        return 0.0 if self._rejoined is None else self.end - self._tracked[1]

    @property
    def _rejoined(self) -> RejoinedPath | None:
        return self._trajectory if self.duration and isinstance(self._trajectory, RejoinedPath) else None

    @property
    def end(self) -> float:
        """When the goal is reached [s]; infinite while it waits."""
        return self._begin + self.duration if self._awaited is None else np.inf

    def at(self, stamp: float) -> Array:
        """Return y (size,) at `stamp` [s]."""
        rest = self._rest_at(stamp)
        return np.array(self._trajectory.at_time(stamp - self._begin)[0]) if rest is None else rest

    def motion_at(self, stamp: float) -> tuple[Array, Array, Array]:
        """Return y (size,) at `stamp` [s], with its first and second derivatives."""
        rest = self._rest_at(stamp)
        if rest is not None:
            return rest.copy(), np.zeros(self.size), np.zeros(self.size)
        position, velocity, acceleration = self._trajectory.at_time(stamp - self._begin)
        return np.array(position), np.array(velocity), np.array(acceleration)

    def path_at(self, stamp: float) -> tuple[Array, Array, Array]:
        """Return the same of the path that y is to come back to, if it rejoins one; else of y."""
        path = self._rejoined
        if path is None or self._rest_at(stamp) is not None:
            return self.motion_at(stamp)
        return path.on_path(stamp - self._begin)

    def _rest_at(self, stamp: float) -> Array | None:
        """Return y (size,) where it rests at `stamp`: before it begins, and from its end on; else None."""
        if self.duration == 0.0 or stamp >= self._begin + self.duration or stamp < self._begin:
            return self._start if stamp < self._begin and self.duration else self._goal
        return None

    def rests_from(self, stamp: float) -> Array | None:
        """Return the goal (size,), the same array in every tick, if y rests there from `stamp` [s] on; else None."""
        return self._goal if self.duration == 0.0 or stamp >= self.end else None

    def over(self, times: Array) -> Array:
        """Return y (T, size) at rising `times` (T,) [s]."""
        if self.rests_from(times[0]) is not None:
            return np.repeat(self._goal[None], len(times), axis=0)
        if isinstance(self._trajectory, Piecewise | RejoinedPath) and times[0] >= self._begin:
            moving = (times < self.end)[:, None]
            return np.asarray(np.where(moving, self._trajectory.at_times(times - self._begin), self._goal))
        if isinstance(self._trajectory, JerkTrajectory):
            if self._polynomials is None:
                self._polynomials = make_jerk_motion(self._trajectory, self._begin, self._start, self._goal)
            return self._polynomials.over(times)
        return self._sampled(times.tolist())

    def _sampled(self, times: list[float]) -> Array:
        """Return `at` of every one of the rising `times` [s] (T, size), in one array; the duration is not zero."""
        begin, end, trajectory = self._begin, self._begin + self.duration, self._trajectory
        y: Array = np.repeat(self._goal[None], len(times), axis=0)
        moving = [trajectory.at_time(t - begin)[0] for t in times if begin <= t < end]
        first = sum(t < begin for t in times) if times[0] < begin else 0
        y[:first] = self._start
        if moving:
            y[first : first + len(moving)] = np.array(moving)
        return y


def _numbers(start: tuple[Array, Array, Array]) -> list[list[float]]:
    return [np.asarray(values).tolist() for values in start]


@contextlib.contextmanager
def _refusing(refusal: str, start: tuple[Array, Array, Array]) -> Iterator[None]:
    """Say in a TargetError what is refused, and from which velocity."""
    try:
        yield
    except TargetError as error:
        velocity = np.round(start[1], 4).tolist()
        raise TargetError(f"{refusal} within the limits from the velocity {velocity}: {error}") from None


def joint_reference(robot: Robot, settings: ReferenceSettings, dt: float) -> SmoothReference:
    """Make a reference for the joints within the given fractions of the robot's limits."""
    return SmoothReference(
        dt,
        settings.velocity_fraction * robot.velocity_limit,
        settings.acceleration_fraction * robot.acceleration_limit,
        settings.jerk_fraction * robot.jerk_limit,
    )


def feature_reference(m: int, settings: ReferenceSettings, dt: float) -> SmoothReference:
    """Make a reference for m feature coordinates (speeds are set in image widths, coordinates count half-widths)."""
    speed, acceleration = 2.0 * settings.feature_speed, 2.0 * settings.feature_acceleration
    return SmoothReference(dt, np.full(m, speed), np.full(m, acceleration), np.full(m, 10.0 * acceleration))
