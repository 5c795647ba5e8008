r"""The rival `dob`: PD with a disturbance observer (Ohnishi, Shibata and Murakami 1996).

    u = M (qdd* + r^2 e + 2 r ed) + g(q) - d,      e = q* - q,  ed = qd* - qd,  r = TRACKING_RATE

M = M(q) of the URDF's links, g their gravity, and d what acts besides. Of M qdd = u_a - g(q) + d, with the command u_a
that acted, the observer keeps a low-passed copy, of bandwidth OBSERVER_RATE = L, without differentiating a velocity:

    d = z + L M qd,      z' = -L (z + L M qd + u_a - g(q))

in discrete time with the factor 1 - exp(-L dt). M without rotors is at most the true inertia, which is the stable side.
The diagonal of M alone would be more than that in some combination of joints.
"""

from __future__ import annotations

import numpy as np

from ....config.configuration import Configuration
from ....robots import Robot
from ....robots.gravity import GravityEffort
from ....robots.inertia import JointSpaceInertia
from ....types import Array, Observation
from .base import Rival

TRACKING_RATE = 15.0  # [1/s], of both poles
OBSERVER_RATE = 40.0  # [1/s]


class DisturbanceObserver(Rival):
    """PD with a disturbance observer for all joints together."""

    def __init__(self, robot: Robot, configuration: Configuration):
        super().__init__(robot, configuration, "dob")
        self._gravity, self._inertia = GravityEffort(robot), JointSpaceInertia(robot)
        self._share = 1.0 - np.exp(-OBSERVER_RATE * self.dt)
        self._z: Array | None = None
        self.disturbance = np.zeros(robot.n)  # d [N m or N]

    def forget(self) -> None:
        """Forget the disturbance."""
        self._z = None

    def effort(self, observation: Observation, q: Array, qd: Array, qdd: Array) -> Array:
        """Return the command; see `EffortTracking`."""
        M, gravity = self._inertia(observation.q), self._gravity(observation.q)
        rate, momentum = TRACKING_RATE, OBSERVER_RATE * M @ observation.qd
        acted = self.acting()
        if self._z is None:
            self._z = -momentum
        elif acted is not None:
            self._z -= self._share * (self._z + momentum + acted - gravity)
        self.disturbance = self._z + momentum
        wanted: Array = (
            M @ (qdd + rate**2 * (q - observation.q) + 2.0 * rate * (qd - observation.qd)) + gravity - self.disturbance
        )
        return wanted
