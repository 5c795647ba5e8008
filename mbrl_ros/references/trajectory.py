"""References: how to get from here to the target without asking for more than the joints allow.

A joint target becomes a jerk-limited, time-synchronised trajectory within fractions of the robot's limits (Ruckig:
Berscheid, Kroeger, RSS 2021); an end-effector target becomes a joint target by inverse kinematics, and its reference
is the image of the joint trajectory under the forward kinematics; a feature target moves on a straight line in
the image. A step in the reference is never handed to a planner that still learns: measured, it diverges.
"""

from __future__ import annotations

import numpy as np
import ruckig
from scipy.interpolate import CubicSpline

from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..types import Array


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
        self._input.max_velocity, self._input.max_acceleration = (
            list(share * self._velocity),
            list(share * self._acceleration),
        )

    def go_to(self, goal: Array, stamp: float, start: tuple[Array, Array, Array] | None = None) -> None:
        """Start at `stamp` from `start` (position, velocity, acceleration), by default where the reference is then."""
        position, velocity, acceleration = self.at(stamp, derivatives=True) if start is None else start
        i = self._input
        i.current_position, i.current_velocity, i.current_acceleration = (
            list(position),
            list(velocity),
            list(acceleration),
        )
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
        i.max_acceleration, i.max_jerk = (
            list(self._acceleration),
            self._input.max_jerk,
        )  # however slowly it may move: brake
        i.current_position, i.current_velocity, i.current_acceleration = (
            list(position),
            list(velocity),
            list(acceleration),
        )
        self._trajectory = self._ruckig
        result = self._generator.calculate(i, self._trajectory)
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            raise TargetError(f"no way to stop from {np.round(velocity, 4).tolist()} within the limits: {result}")
        self._start, self._begin, self.duration = position, stamp, self._trajectory.duration
        self._goal = np.array(self._trajectory.at_time(self.duration)[0])
        return self._goal

    def follow(self, times: Array, Y: Array, stamp: float) -> None:
        """Set out at `stamp` from wherever the reference is, pass Y (T, size) at `times` (T,) [s] after it, and rest at
        the last point: a cubic spline, slowed down as a whole where it would leave the velocity or acceleration limits.
        """
        position, velocity, _ = self.at(stamp, derivatives=True)
        path = _Spline(times, position, Y, velocity)
        path = _Spline(
            times * path.slowdown(self._input.max_velocity, self._input.max_acceleration), position, Y, velocity
        )
        self._trajectory, self._start, self._goal = path, position, np.array(Y[-1], dtype=np.float64)
        self._begin, self.duration = stamp, path.duration

    @property
    def end(self) -> float:
        """When the goal is reached [s]."""
        return self._begin + self.duration

    def at(self, stamp: float, derivatives: bool = False):
        """Y (size,) at `stamp` [s], with its first and second derivatives if asked for."""
        if self.duration == 0.0 or stamp >= self.end or stamp < self._begin:
            y = self._start if stamp < self._begin and self.duration else self._goal
            return (y.copy(), np.zeros(self.size), np.zeros(self.size)) if derivatives else y
        position, velocity, acceleration = self._trajectory.at_time(stamp - self._begin)
        if derivatives:
            return np.array(position), np.array(velocity), np.array(acceleration)
        return np.array(position)

    def over(self, times: Array) -> Array:
        """Y (T, size) at rising `times` (T,) [s]."""
        if self.duration == 0.0 or times[0] >= self.end:
            return np.repeat(self._goal[None], len(times), axis=0)
        return np.array([self.at(t) for t in times])


class _Spline:
    """A cubic spline from y_0 with velocity v_0 through Y (T, size) at `times` (T,) to rest; as Ruckig's trajectories."""

    def __init__(self, times: Array, start: Array, Y: Array, velocity: Array):
        self.duration = float(times[-1])
        self._spline = CubicSpline(
            np.r_[0.0, times], np.vstack((start, Y)), bc_type=((1, velocity), (1, np.zeros_like(start)))
        )

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
    return SmoothReference(
        dt,
        settings.velocity_fraction * robot.velocity_limit,
        settings.acceleration_fraction * robot.acceleration_limit,
        settings.jerk_fraction * robot.jerk_limit,
    )


def feature_reference(m: int, settings: ReferenceSettings, dt: float) -> SmoothReference:
    """A reference for m feature coordinates (speeds are set in image widths, coordinates count half-widths)."""
    speed, acceleration = 2.0 * settings.feature_speed, 2.0 * settings.feature_acceleration
    return SmoothReference(dt, np.full(m, speed), np.full(m, acceleration), np.full(m, 10.0 * acceleration))
