"""Whether an arm fell: how far its tip has gone since a fault, beyond what braking takes.

For the state (q, qd) in which a fault began, with the tip at p(q) and the Jacobian J(q), braking every joint at its
acceleration limit a takes the tip at most b = sum_j |J_j| qd_j^2 / (2 a_j) farther. The arm fell if its tip comes to
lie more than BEYOND + b from p(q). An arm that rightly goes on with its motion is measured from the path of its
reference: the line in joint space from where it rested to the target.
"""

from __future__ import annotations

import numpy as np

from ...robots import Robot
from ...robots.kinematics import Kinematics
from ...types import Array

BEYOND = 0.05  # [m]
PATH_POINTS = 60  # of a path; between two of them lie at most 3 cm


class FallJudge:
    """Judges the tip of `robot` from the beginning of a fault on."""

    def __init__(self, robot: Robot):
        self._robot, self._kinematics = robot, Kinematics(robot)
        self._path: Array = np.zeros((0, 3))
        self._allowed = 0.0
        self.largest = 0.0  # [m] beyond the braking distance, since `begin`

    def begin(self, q: Array, qd: Array) -> None:
        """Let a fault begin in the state q, qd (n,)."""
        J = self._kinematics.jacobian(q)
        braking = float(np.linalg.norm(J, axis=0) @ (0.5 * qd**2 / self._robot.acceleration_limit))
        self._allowed, self.largest = BEYOND + braking, 0.0
        self._path = self._kinematics.position(q)[None]

    def allow(self, q: Array, goal: Array) -> None:
        """Let the arm also go from q (n,) to `goal` (n,)."""
        shares = np.linspace(0.0, 1.0, PATH_POINTS)[:, None]
        self._path = np.vstack((self._path, self._kinematics.positions(q + shares * (goal - q))))

    def fell(self, tip: Array) -> bool:
        """Return whether the tip (3,) [m] lies too far from where it may be."""
        distance = float(np.sqrt(((self._path - tip) ** 2).sum(axis=1).min()))
        self.largest = max(self.largest, distance - self._allowed + BEYOND)
        return distance > self._allowed
