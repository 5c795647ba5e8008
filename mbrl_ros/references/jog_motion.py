r"""The motion of a jog: go over to a velocity, keep it until a time, then come to rest.

It always ends at rest, so that the arm stops by itself where no message follows. Both parts are limited in acceleration
and jerk (Ruckig, velocity interface). With the duration T_r of the first part and y(T) the place of rest of the motion
that keeps the velocity v until T >= T_r,

    y(T) = y(T_r) + v (T - T_r),

so the longest T for which y stays within a range follows from y(T_r).
"""

from __future__ import annotations

import ruckig

from ..exceptions import TargetError
from ..types import Array
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
        self._ramp = _to_velocity(start, velocity, acceleration, jerk)
        self.keep(until)

    def keep(self, until: float) -> None:
        """Keep the velocity until `until` [s] after the beginning."""
        self._until = until
        self._brake = _to_velocity(self._ramp.at_time(until), 0.0 * self._velocity, self._braking, self._jerk)
        self.duration = until + self._brake.duration
        self.rest: list[float] = self._brake.at_time(self._brake.duration)[0]

    def end_within(self, lower: Array, upper: Array, least: float) -> bool:
        """Shorten the motion, to `least` [s] at the shortest, until it ends in [lower, upper]; False if it does not."""
        longest = self._until
        if self._ends_within(lower, upper):
            return True
        self.keep(min(longest, max(least, self._ramp.duration)))
        if not self._ends_within(lower, upper):
            self.keep(least)
            return self._ends_within(lower, upper)
        left = longest - self._until
        for rest, speed, low, high in zip(self.rest, self._velocity.tolist(), lower, upper, strict=True):
            if speed:
                left = min(left, max(0.0, ((high if speed > 0.0 else low) - rest) / speed))
        self.keep(self._until + left)
        return True

    def at_time(self, time: float) -> tuple[list[float], list[float], list[float]]:
        """Return position, velocity and acceleration (n,) `time` [s] after its beginning."""
        # the ramp goes on with its velocity after its end
        position, velocity, acceleration = (
            self._ramp.at_time(time) if time < self._until else self._brake.at_time(time - self._until)
        )
        return position, velocity, acceleration

    def _ends_within(self, lower: Array, upper: Array) -> bool:
        return all(
            low - INSIDE <= rest <= high + INSIDE for rest, low, high in zip(self.rest, lower, upper, strict=True)
        )


def _to_velocity(start: MotionState, velocity: Array, acceleration: Array, jerk: Array) -> ruckig.Trajectory:
    """Return the motion from `start` to a velocity (n,), in one direction where that is possible; TargetError: none."""
    n = len(velocity)
    wanted, motion = ruckig.InputParameter(n), ruckig.Trajectory(n)
    wanted.control_interface = ruckig.ControlInterface.Velocity
    wanted.synchronization = ruckig.Synchronization.Phase
    wanted.current_position, wanted.current_velocity, wanted.current_acceleration = map(list, start)
    wanted.target_velocity, wanted.target_acceleration = list(velocity), [0.0] * n
    wanted.max_acceleration, wanted.max_jerk = list(acceleration), list(jerk)
    try:
        ruckig.Ruckig(n).calculate(wanted, motion)
    except (ruckig.RuckigError, ValueError) as error:
        raise TargetError(f"no motion to the velocities {velocity.tolist()}: {str(error).splitlines()[0]}") from None
    return motion
