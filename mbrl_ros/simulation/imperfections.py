r"""What drives and joints have besides the plant's equation of motion: stiction, and limits that a drive enforces.

Stribeck friction is dry friction that falls off with speed, from k F at rest to F in motion:

    F(qd) = F (1 + (k - 1) exp(-(qd / v)^2)),      k = stiction_factor, v = stribeck_velocity.

A velocity limit L that is enforced is an impulse p on the joints S that are too fast, after a step of the physics:

    qd <- qd + M^-1 E_S p,   (E_S^T M^-1 E_S) p = sign(qd_S) L_S - qd_S

so that the other joints move on as they do when those are held at their limits (Gazebo with DART does the same).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config.sections.simulation import PlantSettings
from ..types import Array
from .model import mujoco


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
