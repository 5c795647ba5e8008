r"""The motion of a jog: go over to a velocity, keep it until a time, then come to rest.

It always ends at rest, so that the arm stops by itself where no message follows. Both parts are limited in acceleration
and jerk (jerk_trajectory.py). With the duration T_r of the first part and y(T) the place of rest of the motion
that keeps the velocity v until T >= T_r,

    y(T) = y(T_r) + v (T - T_r),

so the longest T for which y stays within a range follows from y(T_r).
"""

from __future__ import annotations

import math

import numpy as np

from ..exceptions import TargetError
from ..types import Array
from .jerk_velocity import to_velocity
from .tracking import MotionState

INSIDE = 1e-9  # by which a place of rest may be outside of its range [rad or m]


class JogMotion:
    """From `start` to `velocity` (n,), kept until `until` [s] after its beginning, then to rest.

    acceleration, braking (n,): the limits before and after that. `duration` [s], `rest` (n,): where it ends.
    """

    def __init__(
        self, start: MotionState, velocity: Array, until: float, *, acceleration: Array, braking: Array, jerk: Array
    ):
        self._velocity, self._braking, self._jerk = velocity, braking, jerk
        self._ramp = _Part(start, velocity, acceleration, jerk)
        self.keep(until)

    def keep(self, until: float) -> None:
        """Keep the velocity until `until` [s] after the beginning."""
        self._until = until
        self._brake = _Part(self._ramp.at_time(until), np.zeros(len(self._velocity)), self._braking, self._jerk)
        self.duration = until + self._brake.duration
        self.rest = self._brake.at_time(self._brake.duration)[0]

    def end_within(self, lower: Array, upper: Array, least: float) -> bool:
        """Shorten the motion, to `least` [s] at least, until it stays in [lower, upper]; return whether it does."""
        longest = self._until
        if self._within(lower, upper):
            return True
        self.keep(min(longest, max(least, self._ramp.duration)))
        if not self._within(lower, upper):
            self.keep(least)
            return self._within(lower, upper)
        moving = np.abs(self._velocity) > 0.0
        room = np.where(self._velocity > 0.0, upper, lower) - self.rest
        left = np.maximum(0.0, room[moving] / self._velocity[moving]).min(initial=longest - self._until)
        self.keep(self._until + float(left))
        return True

    def at_time(self, time: float) -> MotionState:
        """Return position, velocity and acceleration (n,) `time` [s] after its beginning."""
        # the ramp goes on with its velocity after its end
        return self._ramp.at_time(time) if time < self._until else self._brake.at_time(time - self._until)

    def _within(self, lower: Array, upper: Array) -> bool:
        """Return whether it stays in [lower, upper]."""
        for part, end in ((self._ramp, self._until), (self._brake, math.inf)):
            lowest, highest = part.extrema(end)
            if (lowest < lower - INSIDE).any() or (highest > upper + INSIDE).any():
                return False
        return True


class _Part:
    """The motion from `start` to a velocity (n,), in one direction where that is possible; TargetError: there is none.

    It goes on with that velocity after `duration` [s].
    """

    def __init__(self, start: MotionState, velocity: Array, acceleration: Array, jerk: Array):
        state = [np.asarray(values).tolist() for values in start]
        limits = np.asarray(acceleration).tolist(), np.asarray(jerk).tolist()
        try:
            self._motion = to_velocity(state, velocity.tolist(), *limits)
        except TargetError as error:
            raise TargetError(f"no motion to the velocities {velocity.tolist()}: {error}") from None
        self.duration = self._motion.duration

    def extrema(self, end: float) -> tuple[Array, Array]:
        """Return the least and largest positions (n,) until `end` [s], or its own end."""
        return self._motion.extrema(end)

    def at_time(self, time: float) -> MotionState:
        """Return position, velocity and acceleration (n,) `time` [s] after its beginning."""
        position, velocity, acceleration = self._motion.at_time(time)
        return np.array(position), np.array(velocity), np.array(acceleration)
