r"""The drives' loops of the velocity and position interfaces: from a command to what the motors are asked for.

    v* = u  (velocity),        v* = POSITION_GAIN (u - q)  (position)
    tau = I (v* - qd + z) / T + c g,        dz/dt = (v* - qd) / Ti

with T `servo_time`, Ti `servo_integral` (0: z = 0) and c g the share of the robot's own weight that is carried. I is
the joint-space inertia M(q), payload included, as of computed torque; or, of drives that know nothing of each other
(`servo_coupled: false`), the diagonal of M at the first posture, and z is what carries the rest of the weight. z stands
still where the motor is at its limit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..config.sections.simulation import PlantSettings
from ..robots import Robot
from ..types import Array
from .plant_base import POSITION_GAIN


class Servos:
    """The loops of one robot's drives; `reset` before use."""

    def __init__(self, settings: PlantSettings, robot: Robot):
        self._settings, self._robot = settings, robot
        self._limit = settings.effort_limit_factor * robot.effort_limit
        self._own, self._z = np.ones(robot.n), np.zeros(robot.n)

    def reset(self, inertia: Array) -> None:
        """Begin anew, z = 0; `inertia` (n,) is the diagonal of M, which coupled drives do not use."""
        self._own, self._z = inertia.copy(), np.zeros(self._robot.n)

    def efforts(
        self,
        u: Array,
        q: Array,
        qd: Array,
        times_inertia: Callable[[Array], Array],
        weight: Array,
    ) -> Array:
        """Return what the motors are asked for (n,) [N m or N].

        Parameters
        ----------
        u
            The command in effect (n,).
        q, qd
            The state (n,).
        times_inertia
            Returns M(q) a (n,) for accelerations a (n,).
        weight
            c g (n,), which is added.
        """
        settings = self._settings
        error = (POSITION_GAIN * (u - q) if self._robot.interface == "position" else u) - qd
        wanted = (error + self._z) / settings.servo_time
        tau: Array = (times_inertia(wanted) if settings.servo_coupled else self._own * wanted) + weight
        if settings.servo_integral:
            step = settings.timestep / settings.servo_integral * error
            self._z += np.where(np.abs(tau) < self._limit, step, 0.0)
        return tau
