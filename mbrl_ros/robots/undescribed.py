"""A robot without a description: the names and limits that a recording or a task shows."""

from __future__ import annotations

import numpy as np

from ..types import Array
from .robot import Robot


def undescribed_robot(
    joints: tuple[str, ...], interface: str, command_lower: Array, command_upper: Array, velocity: Array, effort: Array
) -> Robot:
    """Return a robot of which only names, limits (n,) of commands, and large speeds and efforts (n,) are known."""
    n = len(joints)
    anywhere = np.full(n, np.inf)
    return Robot(
        joints=joints,
        position_lower=-anywhere,
        position_upper=anywhere,
        velocity_limit=velocity,
        effort_limit=effort,
        acceleration_limit=np.ones(n),
        jerk_limit=np.ones(n),
        interface=interface,
        command_lower=command_lower,
        command_upper=command_upper,
        urdf="",
        root="",
        tip="",
        tip_offset=np.zeros(3),
        damping=np.zeros(n),
        friction=np.zeros(n),
    )
