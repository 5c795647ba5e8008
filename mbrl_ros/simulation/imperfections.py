r"""What drives and joints have besides the plant's equation of motion: stiction, and limits that a drive enforces.

Stribeck friction is dry friction that falls off with speed, from k F at rest to F in motion:

    F(qd) = F (1 + (k - 1) exp(-(qd / v)^2)),      k = stiction_factor, v = stribeck_velocity.

A velocity limit L that is enforced is an impulse p on the joints S that are too fast, after a step of the physics:

    qd <- qd + M^-1 E_S p,   (E_S^T M^-1 E_S) p = sign(qd_S) L_S - qd_S

so that the other joints move on as they do when those are held at their limits (Gazebo with DART does the same).

An obstacle is a ball of center c and radius R that the end-effector point p runs into: with d = R - |p - c| and the
outward normal n, the force max(0, K (d - T n . dp/dt)) n acts on p where d > 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config.sections.simulation import PlantSettings
from ..types import Array
from .model import mujoco

OBSTACLE_TIME = 0.005  # T [s]: damping of an obstacle over its stiffness


def stiction(qd: Array, settings: PlantSettings) -> Array:
    """Return F(qd) / F (n,) at the speeds qd (n,)."""
    share: Array = 1.0 + (settings.stiction_factor - 1.0) * np.exp(-((qd / settings.stribeck_velocity) ** 2))
    return share


def limit_velocities(model: mujoco.MjModel, data: mujoco.MjData, dof: NDArray[np.int64], limit: Array) -> None:
    """Bring the joints `dof` (n,) down to their velocity limits (n,), if any is above."""
    held = np.abs(data.qvel[dof]) > limit
    if not held.any():
        return
    M, unit = np.empty((model.nv, model.nv)), np.eye(model.nv)
    for column in range(model.nv):
        mujoco.mj_mulM(model, data, M[column], unit[column])
    for _ in range(len(dof)):  # holding one joint may make another one too fast
        fast = dof[held]
        wanted = np.sign(data.qvel[fast]) * limit[held]
        columns = np.linalg.solve(M, unit[:, fast])
        data.qvel[:] += columns @ np.linalg.solve(columns[fast], wanted - data.qvel[fast])
        more = held | (np.abs(data.qvel[dof]) > limit * (1.0 + 1e-9))
        if (more == held).all():
            return
        held = more


class Obstacle:
    """The ball of `settings.obstacle`, which pushes the site number `site` of `model` back; root: `Plant.root_pose`."""

    def __init__(self, settings: PlantSettings, model: mujoco.MjModel, site: int, root: tuple[Array, Array]):
        self._center: Array = root[0] + root[1] @ np.array(settings.obstacle[:3])
        self._radius, self._stiffness = settings.obstacle[3], settings.obstacle_stiffness
        self._site, self._body = site, int(model.site_bodyid[site])
        self._jacobian: Array = np.zeros((3, model.nv))

    def push_back(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Let the ball act in the coming step of the physics."""
        point = data.site_xpos[self._site]
        away = point - self._center
        distance = float(np.linalg.norm(away))
        depth, force = self._radius - distance, np.zeros(3)
        if depth > 0.0 and distance > 0.0:
            normal = away / distance
            mujoco.mj_jacSite(model, data, self._jacobian, None, self._site)
            speed = float(normal @ (self._jacobian @ data.qvel))
            force = max(0.0, self._stiffness * (depth - OBSTACLE_TIME * speed)) * normal
        data.xfrc_applied[self._body, :3] = force
        data.xfrc_applied[self._body, 3:] = np.cross(point - data.xipos[self._body], force)
