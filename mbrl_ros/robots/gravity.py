r"""The efforts that gravity asks of the joints, from the links' masses.

Joint j, with axis a_j through p_j, carries the bodies behind it, of total mass m and first moment h about p_j:

    g_j(q) = a_j . (h x G z)  (revolute),   m a_j . G z  (prismatic),      G = 9.81 m/s^2

in a frame whose axis z points up. That is the root link's, turned if `Robot.gravity` says that the robot is mounted on
a wall or a ceiling.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..types import Array
from .bodies import bodies_of
from .inertia import CompiledTree, library
from .robot import Robot

G = 9.81  # [m/s^2]
UP = np.array([0.0, 0.0, G])  # of a root link whose z points up


class GravityEffort:
    """g(q) of a robot; links without a mass weigh nothing. In compiled code (inertia.cpp) where that can be had."""

    def __init__(self, robot: Robot):
        self._bodies = b = bodies_of(robot)
        self._compiled: CompiledTree | None = None
        self._follows = bool(robot.followers)
        self._g, upright = _upright(np.array(robot.gravity))
        if upright is not None:
            b.placement[b.parent < 0] = upright @ b.placement[b.parent < 0]
        functions = library()
        if functions is not None:
            weights = dataclasses.replace(b, mass=self._g * b.mass, moment=self._g * b.moment)
            self._compiled = CompiledTree(functions.gravity_effort, weights, np.zeros(len(b.joint)))
        # the turn about a body's axis z multiplies only two columns of its placement
        self._columns = [(p[:, 0].copy(), p[:, 1].copy(), p[:, 2].copy(), p[:, 3].copy()) for p in b.placement]

    def __call__(self, q: Array) -> Array:
        """Return g (n,) [N m or N] at the pose q (n,), in the order of `robot.joints`."""
        if self._compiled is None:
            return self.numpy(q)
        if not self._follows:
            return self._compiled(q)
        coupling = self._bodies.coupling
        effort: Array = coupling.E.T @ self._compiled(coupling.positions(q))
        return effort

    def numpy(self, q: Array) -> Array:
        """Return the same in numpy: what the compiled function is tested against."""
        b, n = self._bodies, len(self._bodies.joint)
        R: list[Array] = [np.eye(3)] * n
        p: list[Array] = [np.zeros(3)] * n
        for i, angle in enumerate(b.coupling.positions(q)[b.joint].tolist()):
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
            effort[b.joint[i]] = self._g * (mass[i] * axis[2] if b.prismatic[i] else axis[0] * h[1] - axis[1] * h[0])
            if parent >= 0:
                mass[parent] += mass[i]
                moment[parent] = moment[parent] + h + mass[i] * (p[i] - p[parent])
        mapped: Array = b.coupling.E.T @ effort
        return mapped


def weight_effort(jacobian: Array, gravity: tuple[float, ...] = (0.0, 0.0, -G)) -> Array:
    """Return the efforts (n,) that carry one kilogram at a point whose Jacobian is `jacobian` (3, n)."""
    effort: Array = -(np.array(gravity) @ jacobian)
    return effort


def _upright(gravity: Array) -> tuple[float, Array | None]:
    """Return |gravity| and the rotation (3, 3) that takes its opposite to z; None for one along -z.

    Rodrigues' formula for the least rotation from the unit v to z: R = 1 + [w] + [w]^2 / (1 + v_z), w = v x z; about x
    for a robot that hangs.
    """
    size = float(-gravity[2])
    if size >= 0.0 and not gravity[:2].any():
        return size, None
    size = float(np.linalg.norm(gravity))
    v = -gravity / size
    if v[2] < -1.0 + 1e-12:
        return size, np.diag([1.0, -1.0, -1.0])
    w = np.array([[0.0, 0.0, -v[0]], [0.0, 0.0, -v[1]], [v[0], v[1], 0.0]])  # [v x z]
    R: Array = np.eye(3) + w + w @ w / (1.0 + v[2])
    return size, R
