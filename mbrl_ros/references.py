"""References: how to get from here to the target without asking for more than the joints allow.

A joint target becomes a jerk-limited, time-synchronised trajectory within fractions of the robot's limits (Ruckig:
Berscheid, Kroeger, RSS 2021); an end-effector target becomes a joint target by inverse kinematics, and its reference
is the image of the joint trajectory under the forward kinematics; a feature target moves on a straight line in
the image. A step in the reference is never handed to a planner that still learns: measured, it diverges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ruckig
from scipy.interpolate import CubicSpline

from .exceptions import TargetError
from .settings import ReferenceSettings
from .types import Array, checked


@dataclass(frozen=True, eq=False, slots=True)
class Target:
    """Where to go. kind "joints": value q (n,) [rad]; "point": value p (3,) [m] in the base frame, q (n,) a pose that
    reaches it; "features": value s (m,) in image coordinates. `stamp` [s]: from when on it holds. `path`: joint
    positions to pass on the way, (times (T,) [s] after the stamp, Q (T, n))."""

    kind: str
    value: Array
    stamp: float = 0.0
    q: Array | None = None
    path: tuple[Array, Array] | None = None


def joint_target(robot, q, stamp: float = 0.0) -> Target:
    """A target for every joint; TargetError if it lies outside the limits."""
    q = checked("joint target", q, (len(robot.joints),))
    for name, value, low, high in zip(robot.joints, q, robot.position_lower, robot.position_upper):
        if not low <= value <= high:  # a NaN fails too
            raise TargetError(f"joint target of '{name}' must lie in [{low:.4f}, {high:.4f}], got {value:.4f}")
    return Target("joints", q, stamp, q)


def point_target(kinematics, p, seed: Array, settings: ReferenceSettings, stamp: float = 0.0) -> Target:
    """A target for the end-effector point [m, base frame]; TargetError if no pose within the limits reaches it."""
    p = checked("point target", p, (3,))
    if not np.isfinite(p).all():
        raise TargetError(f"point target must be finite, got {p.tolist()}")
    q, distance = kinematics.inverse(p, seed)
    if distance > settings.reach_tolerance:
        raise TargetError(f"point target {np.round(p, 4).tolist()} is out of reach: the nearest pose found within the "
                          f"joint limits misses it by {1e3 * distance:.1f} mm (reference.reach_tolerance = "
                          f"{1e3 * settings.reach_tolerance:g} mm)")
    return Target("point", p, stamp, q)


def feature_target(m: int, s, stamp: float = 0.0) -> Target:
    """A target for the features, in image coordinates."""
    s = checked("feature target", s, (m,))
    if not np.isfinite(s).all() or np.abs(s).max(initial=0.0) > 1.0:
        raise TargetError(f"feature target must lie in the image, [-1, 1], got {s.tolist()}")
    return Target("features", s, stamp)


LONGEST = 500  # points of a trajectory


def trajectory_target(robot, times, Q, stamp: float = 0.0) -> Target:
    """Joint positions Q (T, n) to pass `times` (T,) [s] after `stamp`; TargetError if malformed or outside the limits.

    It sets out from wherever the reference is then, which takes the place of a point at time 0.
    """
    Q = checked("trajectory target", Q, (None, len(robot.joints)))
    times = checked("times of a trajectory target", times, (len(Q),))
    if not 0 < len(Q) <= LONGEST:
        raise TargetError(f"a trajectory must have 1 to {LONGEST} points, got {len(Q)}")
    if not (np.isfinite(times).all() and times[0] >= 0.0 and times[-1] > 0.0 and (np.diff(times) > 0.0).all()):
        raise TargetError("the times of a trajectory must be finite, rise, and end after 0")
    for q in Q:
        joint_target(robot, q)
    keep = times > 0.0
    return Target("joints", Q[-1], stamp, Q[-1], (times[keep], Q[keep]))


class SmoothReference:
    """A reference y(t) of `size` coordinates, sampled every dt, moving to its goal within the given limits."""

    def __init__(self, dt: float, velocity: Array, acceleration: Array, jerk: Array):
        self.dt, self.size = dt, np.size(velocity)
        self._generator = ruckig.Ruckig(self.size, dt)
        self._input = ruckig.InputParameter(self.size)
        self._input.max_velocity, self._input.max_acceleration = list(velocity), list(acceleration)
        self._input.max_jerk = list(jerk)
        self._velocity, self._acceleration = np.array(velocity), np.array(acceleration)
        self._trajectory = self._ruckig = ruckig.Trajectory(self.size)
        self._start = self._goal = np.zeros(self.size)
        self._begin = 0.0
        self.duration = 0.0

    def reset(self, y: Array, stamp: float) -> None:
        """Rest at y (size,) from `stamp` on."""
        self._start = self._goal = np.array(y, dtype=np.float64)
        self._begin, self.duration = stamp, 0.0

    def limit(self, share: float) -> None:
        """From the next motion on keep to `share` (0, 1] of the velocities and accelerations given at first."""
        self._input.max_velocity, self._input.max_acceleration = list(share * self._velocity), list(share * self._acceleration)

    def go_to(self, goal: Array, stamp: float, start: tuple[Array, Array, Array] | None = None) -> None:
        """Start at `stamp` from `start` (position, velocity, acceleration), by default where the reference is then."""
        position, velocity, acceleration = self.at(stamp, derivatives=True) if start is None else start
        i = self._input
        i.current_position, i.current_velocity, i.current_acceleration = list(position), list(velocity), list(acceleration)
        i.target_position, i.target_velocity, i.target_acceleration = list(goal), [0.0] * self.size, [0.0] * self.size
        self._trajectory = self._ruckig
        result = self._generator.calculate(i, self._trajectory)
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            raise TargetError(f"no trajectory to {np.round(goal, 4).tolist()} within the limits: {result}")
        self._start, self._goal = position, np.array(goal, dtype=np.float64)
        self._begin, self.duration = stamp, self._trajectory.duration

    def stop(self, stamp: float, start: tuple[Array, Array, Array] | None = None) -> Array:
        """Come to rest from `start`, as for go_to, as soon as the limits allow; where that will be (size,)."""
        position, velocity, acceleration = self.at(stamp, derivatives=True) if start is None else start
        i = ruckig.InputParameter(self.size)
        i.control_interface = ruckig.ControlInterface.Velocity
        i.max_acceleration, i.max_jerk = list(self._acceleration), self._input.max_jerk  # however slowly it may move: brake
        i.current_position, i.current_velocity, i.current_acceleration = list(position), list(velocity), list(acceleration)
        self._trajectory = self._ruckig
        result = self._generator.calculate(i, self._trajectory)
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            raise TargetError(f"no way to stop from {np.round(velocity, 4).tolist()} within the limits: {result}")
        self._start, self._begin, self.duration = position, stamp, self._trajectory.duration
        self._goal = np.array(self._trajectory.at_time(self.duration)[0])
        return self._goal

    def follow(self, times: Array, Y: Array, stamp: float) -> None:
        """Set out at `stamp` from wherever the reference is, pass Y (T, size) at `times` (T,) [s] after it, and rest at
        the last point: a cubic spline, slowed down as a whole where it would leave the velocity or acceleration limits."""
        position, velocity, _ = self.at(stamp, derivatives=True)
        path = _Spline(times, position, Y, velocity)
        path = _Spline(times * path.slowdown(self._input.max_velocity, self._input.max_acceleration), position, Y, velocity)
        self._trajectory, self._start, self._goal = path, position, np.array(Y[-1], dtype=np.float64)
        self._begin, self.duration = stamp, path.duration

    @property
    def end(self) -> float:
        """When the goal is reached [s]."""
        return self._begin + self.duration

    def at(self, stamp: float, derivatives: bool = False):
        """y (size,) at `stamp` [s], with its first and second derivatives if asked for."""
        if self.duration == 0.0 or stamp >= self.end or stamp < self._begin:
            y = self._start if stamp < self._begin and self.duration else self._goal
            return (y.copy(), np.zeros(self.size), np.zeros(self.size)) if derivatives else y
        position, velocity, acceleration = self._trajectory.at_time(stamp - self._begin)
        if derivatives:
            return np.array(position), np.array(velocity), np.array(acceleration)
        return np.array(position)

    def over(self, times: Array) -> Array:
        """y (T, size) at rising `times` (T,) [s]."""
        if self.duration == 0.0 or times[0] >= self.end:
            return np.repeat(self._goal[None], len(times), axis=0)
        return np.array([self.at(t) for t in times])


class _Spline:
    """A cubic spline from y_0 with velocity v_0 through Y (T, size) at `times` (T,) to rest; as Ruckig's trajectories."""

    def __init__(self, times: Array, start: Array, Y: Array, velocity: Array):
        self.duration = float(times[-1])
        self._spline = CubicSpline(np.r_[0.0, times], np.vstack((start, Y)), bc_type=((1, velocity), (1, np.zeros_like(start))))

    def at_time(self, time: float) -> tuple[Array, Array, Array]:
        return self._spline(time), self._spline(time, 1), self._spline(time, 2)

    def slowdown(self, velocity, acceleration) -> float:
        """By which factor all times must grow for the limits (size,) to hold."""
        times = np.linspace(0.0, self.duration, 10 * len(self._spline.x))
        fast = np.abs(self._spline(times, 1)) / np.asarray(velocity)
        hard = np.abs(self._spline(times, 2)) / np.asarray(acceleration)
        return max(1.0, float(fast.max()), float(np.sqrt(hard.max())))


def joint_reference(robot, settings: ReferenceSettings, dt: float) -> SmoothReference:
    """A reference for the joints within the given fractions of the robot's limits."""
    return SmoothReference(dt, settings.velocity_fraction * robot.velocity_limit,
                           settings.acceleration_fraction * robot.acceleration_limit,
                           settings.jerk_fraction * robot.jerk_limit)


def feature_reference(m: int, settings: ReferenceSettings, dt: float) -> SmoothReference:
    """A reference for m feature coordinates (speeds are set in image widths, coordinates count half-widths)."""
    speed, acceleration = 2.0 * settings.feature_speed, 2.0 * settings.feature_acceleration
    return SmoothReference(dt, np.full(m, speed), np.full(m, acceleration), np.full(m, 10.0 * acceleration))
