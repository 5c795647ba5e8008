r"""The load of an arm that is moved by efforts: what acts beyond its motion and the gravity of its URDF.

With the prior's input gain B = d qd' / d u of one period (the inertia of the URDF and that of the rotors, which is
learned), the effort that would have kept the velocity, u - B^-1 (qd' - qd), carries arm and load through the motion:

    r = <u - B^-1 (qd' - qd) - s g(q)> - r_tare

< > is the mean weighted by exp(-age / memory). The change of the velocity is measured, not predicted: what the model
has not learned yet, as after a change of load, is in r at once, and an error of B counts by the acceleration only.
g is the gravity of the URDF's links; s is 0 where the driver reports efforts without it. r_tare is r when it was last
tared: what the description lacks at that pose, friction at rest included. An external wrench w at the tool balances

    r = -J^T w    =>    w = -(J J^T + mu I)^-1 J r,        mu = WRENCH_DAMPING trace(J J^T)

with J (6, n) of the tool's point. With fewer than six joints, or near singular postures, it is the smallest one that
does. A mass m at that point has r = m a, a = -J_p^T gravity; m is the least-squares estimate over the last seconds,

    m = sum a^T W r / (sum a^T W a + RIDGE),        W = diag(effort limit)^-2, weighted by exp(-age / memory).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..robots import Robot
from ..robots.gravity import GravityEffort, weight_effort
from ..robots.pose_kinematics import LEVER, PoseKinematics
from ..types import Array

WRENCH_DAMPING = 1e-6
RIDGE_LOAD = 1e-9  # of the squared share of the effort limits that one kilogram takes, in a second


@dataclass(frozen=True, eq=False, slots=True)
class Load:
    """An estimate at one moment.

    effort (n,) [N m or N]: r; force (3,) [N] and torque (3,) [N m] of the external wrench at the origin of the tip
    link, in its axes; mass [kg] at the tool's point, NaN while no direction of gravity shows it.
    """

    effort: Array
    force: Array
    torque: Array
    mass: float


class LoadEstimator:
    """Estimates the load of `robot`; `memory` [s] of the mass; `with_gravity`: efforts contain the arm's gravity."""

    def __init__(self, robot: Robot, memory: float, *, with_gravity: bool = True):
        self._robot, self._memory = robot, memory
        self._gravity = GravityEffort(robot) if with_gravity else None
        self._kinematics = PoseKinematics(robot)
        self._tare: Array = np.zeros(robot.n)
        self._residual: Array | None = None  # r + r_tare
        self.forget()

    def forget(self) -> None:
        """Forget the load; the tare stays."""
        self._seen = self._explained = self._weight = 0.0
        self._residual = None

    def tare(self) -> bool:
        """Let the present load be zero; False if none was estimated."""
        if self._residual is None:
            return False
        self._tare = self._residual
        self._seen = self._explained = 0.0
        return True

    def update(self, q: Array, u: Array, change: Array, gain: Array, elapsed: float) -> Load | None:
        """Return the load after a period; None where the gain does not tell it.

        Parameters
        ----------
        q, change : positions (n,) at its start [rad or m] and the change of the velocities in it (n,) [rad/s or m/s]
        u : effort (n,) that acted in it [N m or N]
        gain : d qd' / d u (n, n)
        elapsed : time since the last period [s]
        """
        try:
            carries: Array = u - np.linalg.solve(gain, change)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(carries).all():
            return None
        raw = carries if self._gravity is None else carries - self._gravity(q)
        kept = math.exp(-max(elapsed, 0.0) / self._memory)
        self._weight = kept * self._weight + 1.0
        self._residual = raw if self._residual is None else self._residual + (raw - self._residual) / self._weight
        r = self._residual - self._tare
        _, R, J = self._kinematics.velocity_map(q)
        J = np.concatenate((J[:3], R @ J[3:] / LEVER))  # both along the axes of the root link
        across = J @ J.T
        wrench = -np.linalg.solve(across + (WRENCH_DAMPING * np.trace(across) + 1e-300) * np.eye(6), J @ r)
        force, torque = R.T @ wrench[:3], R.T @ wrench[3:]
        turned, offset = np.asarray(self._robot.tip_rotation), np.asarray(self._robot.tip_offset)
        force, torque = turned @ force, turned @ torque
        return Load(r, force, torque + np.cross(offset, force), self._mass(J[:3], raw - self._tare, elapsed))

    def _mass(self, Jp: Array, r: Array, elapsed: float) -> float:
        weight = 1.0 / self._robot.effort_limit**2
        a = weight_effort(Jp, self._robot.gravity)
        kept = math.exp(-max(elapsed, 0.0) / self._memory)
        self._seen = kept * self._seen + elapsed * float(a @ (weight * a))
        self._explained = kept * self._explained + elapsed * float(a @ (weight * r))
        return self._explained / self._seen if self._seen > RIDGE_LOAD * self._memory else math.nan
