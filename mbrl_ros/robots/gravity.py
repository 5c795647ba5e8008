r"""The efforts that gravity asks of the joints, from the links' masses.

Joint j, with axis a_j through p_j, carries the bodies behind it, of total mass m and first moment h about p_j:

    g_j(q) = a_j . (h x G z)  (revolute),   m a_j . G z  (prismatic),      G = 9.81 m/s^2

in the frame of the root link, whose axis z points up.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array
from .bodies import bodies_of
from .robot import Robot

G = 9.81  # [m/s^2] along z
UP = np.array([0.0, 0.0, G])


class GravityEffort:
    """g(q) of a robot; links without a mass weigh nothing."""

    def __init__(self, robot: Robot):
        self._bodies = b = bodies_of(robot)
        # the turn about a body's axis z multiplies only two columns of its placement
        self._columns = [(p[:, 0].copy(), p[:, 1].copy(), p[:, 2].copy(), p[:, 3].copy()) for p in b.placement]

    def __call__(self, q: Array) -> Array:
        """Return g (n,) [N m or N] at the pose q (n,), in the order of `robot.joints`."""
        b, n = self._bodies, len(self._bodies.joint)
        R: list[Array] = [np.eye(3)] * n
        p: list[Array] = [np.zeros(3)] * n
        for i, angle in enumerate(q[b.joint].tolist()):
            x, y, z, origin = self._columns[i]
            turned = np.empty((3, 3))
            c, s = (1.0, 0.0) if b.prismatic[i] else (math.cos(angle), math.sin(angle))
            turned[:, 0], turned[:, 1], turned[:, 2] = c * x + s * y, c * y - s * x, z
            if b.prismatic[i]:
                origin = origin + angle * z
            parent = b.parent[i]
            R[i], p[i] = (turned, origin) if parent < 0 else (R[parent] @ turned, p[parent] + R[parent] @ origin)
        mass, effort = b.mass.tolist(), np.zeros(n)
        moment = [turned @ own for turned, own in zip(R, b.moment, strict=True)]
        for i in reversed(range(n)):
            axis, parent, h = R[i][:, 2], b.parent[i], moment[i]
            effort[b.joint[i]] = G * (mass[i] * axis[2] if b.prismatic[i] else axis[0] * h[1] - axis[1] * h[0])
            if parent >= 0:
                mass[parent] += mass[i]
                moment[parent] = moment[parent] + h + mass[i] * (p[i] - p[parent])
        return effort
