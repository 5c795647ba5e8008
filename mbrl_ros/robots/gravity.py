r"""The efforts that gravity asks of the joints, from the links' masses.

Joint j, with axis a_j through p_j, carries the bodies behind it, of total mass m and first moment h about p_j:

    g_j(q) = a_j . (h x G)  (revolute),   m a_j . G  (prismatic),      G = (0, 0, 9.81) m/s^2

in the frame of the root link, whose z axis points up.
"""

from __future__ import annotations

import numpy as np

from ..types import Array
from .bodies import bodies_of
from .robot import Robot

UP = np.array([0.0, 0.0, 9.81])  # [m/s^2]


class GravityEffort:
    """g(q) of a robot; links without a mass weigh nothing."""

    def __init__(self, robot: Robot):
        self._bodies = bodies_of(robot)

    def __call__(self, q: Array) -> Array:
        """Return g (n,) [N m or N] at the pose q (n,), in the order of `robot.joints`."""
        b, n = self._bodies, len(self._bodies.joint)
        R, p = np.zeros((n + 1, 3, 3)), np.zeros((n + 1, 3))
        R[-1] = np.eye(3)  # the base, which is body -1
        for i, angle in enumerate(q[b.joint]):
            parent, (c, s) = b.parent[i], (1.0, 0.0) if b.prismatic[i] else (np.cos(angle), np.sin(angle))
            turned = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
            R[i] = R[parent] @ b.placement[i, :, :3] @ turned
            p[i] = p[parent] + R[parent] @ b.placement[i, :, 3] + (angle * R[i, :, 2] if b.prismatic[i] else 0.0)
        mass, moment = b.mass.copy(), np.einsum("ijk,ik->ij", R[:n], b.moment)
        effort = np.zeros(n)
        for i in reversed(range(n)):
            axis, parent = R[i, :, 2], b.parent[i]
            effort[b.joint[i]] = mass[i] * axis @ UP if b.prismatic[i] else axis @ np.cross(moment[i], UP)
            if parent >= 0:
                mass[parent] += mass[i]
                moment[parent] += moment[i] + mass[i] * (p[i] - p[parent])
        return effort
