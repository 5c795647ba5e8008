r"""The rival `ekf`: inverse dynamics of the URDF with the payload's mass m from an extended Kalman filter.

    u = M_m(q) (qdd* + KP e + KI int e dt + KD ed) + h(q, qd) + m J^T G,     M_m = M + m J^T J,   G = (0, 0, 9.81)

M and h are those of the URDF's links, J the Jacobian of the end effector, at which m is a point. The filter's state is
[qd; m], with the command u_a that acted and the velocities as measurements:

    qd' = qd + dt qdd,   qdd = M_m^-1 (u_a - h - m J^T G),   d qdd / d m = -M_m^-1 J^T (G + J qdd),   m' = m

Process noise: efforts of EFFORT_NOISE of their limits, and a random walk of m. The terms with J's own change are left
out of M_m's equations, as a payload at rest has none.
"""

from __future__ import annotations

import numpy as np

from ....config.configuration import Configuration
from ....robots import Robot
from ....robots.bodies import bodies_of
from ....robots.gravity import UP
from ....robots.inertia import JointSpaceInertia
from ....robots.kinematics import Kinematics
from ....robots.rigid_body import bias_force
from ....types import Array, Observation
from .base import Rival

KP, KI, KD = 400.0, 600.0, 40.0  # [1/s^2], [1/s^3], [1/s]
EFFORT_NOISE = 0.01  # of the effort limits, standard deviation
VELOCITY_NOISE = 0.02  # [rad/s or m/s], standard deviation of a measurement
HEAVIEST = 0.5  # of the mass of the moving links: no payload is taken to be heavier
WANDER = 0.1  # of HEAVIEST, standard deviation of what the payload's mass changes in a second


class KalmanPayload(Rival):
    """Inverse dynamics with an extended Kalman filter for the payload."""

    def __init__(self, robot: Robot, configuration: Configuration):
        super().__init__(robot, configuration, "ekf")
        self._inertia, self._bias, self._kinematics = JointSpaceInertia(robot), bias_force(robot), Kinematics(robot)
        self._heaviest = HEAVIEST * float(bodies_of(robot).mass.sum())
        self.forget()

    def forget(self) -> None:
        """Forget the payload."""
        n = self.n
        self.payload, self._integral = 0.0, np.zeros(n)
        self._speed: Array | None = None  # the filter's velocities (n,)
        self._P = np.diag([*np.full(n, VELOCITY_NOISE**2), (WANDER * self._heaviest) ** 2])

    def effort(self, observation: Observation, q: Array, qd: Array, qdd: Array) -> Array:
        """Return the command; see `EffortTracking`."""
        M, J = self._inertia(observation.q), self._kinematics.jacobian(observation.q)
        h = np.array(self._bias(observation.q, observation.qd)).ravel()
        self._correct(observation.qd)
        M, weight = M + self.payload * J.T @ J, self.payload * J.T @ UP
        error = q - observation.q
        wanted = qdd + KP * error + KI * self._integral + KD * (qd - observation.qd)
        u: Array = M @ wanted + h + weight
        free = np.abs(u) <= self.robot.effort_limit
        self._integral += np.where(free, self.dt * error, 0.0)
        self._predict(M, J, h + weight, u)
        return u

    def _correct(self, measured: Array) -> None:
        """Take a measurement of the velocities (n,) into account."""
        n = self.n
        if self._speed is None:
            self._speed = measured.copy()
            return
        gain = self._P[:, :n] @ np.linalg.inv(self._P[:n, :n] + VELOCITY_NOISE**2 * np.eye(n))
        change = gain @ (measured - self._speed)
        self._speed = self._speed + change[:n]
        self.payload = float(np.clip(self.payload + change[n], 0.0, self._heaviest))
        self._P = self._P - gain @ self._P[:n]

    def _predict(self, M: Array, J: Array, load: Array, newest: Array) -> None:
        """Predict the velocities of the next state, with `load` (n,) what bias and payload ask for."""
        n, acts = self.n, self.acting_next(newest)
        if self._speed is None:
            return
        inverse = np.linalg.inv(M)
        qdd = inverse @ (acts - load)
        F = np.eye(n + 1)
        F[:n, n] = -self.dt * inverse @ J.T @ (UP + J @ qdd)
        noise = self.dt * inverse * (EFFORT_NOISE * self.robot.effort_limit)
        self._speed = self._speed + self.dt * qdd
        self._P = F @ self._P @ F.T
        self._P[:n, :n] += noise @ noise.T
        self._P[n, n] += self.dt * (WANDER * self._heaviest) ** 2
