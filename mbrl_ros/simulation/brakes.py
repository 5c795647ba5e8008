r"""What holds joints of a simulated robot that no controller commands yet, as a position servo at q0.

    effort:    u = g(q0) + M_ii (w^2 (q0 - q) - 2 w qd), critically damped with w = BRAKE_STIFFNESS
    velocity:  u = 0
    position:  u = q0

g(q0) are the efforts that hold the whole robot still at q0, M_ii the diagonal of its inertia there.
"""

from __future__ import annotations

import numpy as np

from ..types import Array
from .plant import Measurement, Plant

BRAKE_STIFFNESS = 20.0  # w [rad/s]; w h = 0.1 with a period h of 5 ms, so that the loop is stable with delayed commands


class Brakes:
    """Brakes of all joints of `plant`, at the position in which they are first needed."""

    def __init__(self, plant: Plant):
        self._plant, self._robot = plant, plant.robot
        self._q0: Array | None = None

    def release(self) -> None:
        """Forget where the joints were held, as after a reset of the plant."""
        self._q0 = None

    def filled(self, command: Array, measurement: Measurement) -> Array:
        """Return `command` (n,) with what holds a joint where it is NaN."""
        free = np.isnan(command)
        if not free.any():
            return command
        if self._q0 is None:
            self._q0 = np.clip(measurement.q, self._robot.position_lower, self._robot.position_upper)
            if self._robot.interface == "effort":
                self._weight, self._inertia = self._plant.holding_effort(self._q0), self._plant.inertia_at(self._q0)
        return np.where(free, self._holding(self._q0, measurement), command)

    def _holding(self, q0: Array, measurement: Measurement) -> Array:
        if self._robot.interface == "velocity":
            return np.zeros(self._robot.n)
        if self._robot.interface == "position":
            return np.clip(q0, self._robot.command_lower, self._robot.command_upper)
        pull = BRAKE_STIFFNESS**2 * (q0 - measurement.q) - 2.0 * BRAKE_STIFFNESS * measurement.qd
        return np.asarray(self._weight + self._inertia * pull)
