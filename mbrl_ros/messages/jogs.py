"""From messages of velocities to values. A malformed one raises TargetError, whose kind is counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..exceptions import LONGEST, TargetError
from ..types import Array
from .readers import Message


def read_twist(message: Message) -> tuple[Array, str]:
    """Return [v; w] (6,) [m/s, rad/s] of a TwistStamped, and the frame in whose axes they are."""
    v, w = message.twist.linear, message.twist.angular
    return np.array((v.x, v.y, v.z, w.x, w.y, w.z), dtype=np.float64), str(message.header.frame_id)


def read_velocities(message: Message, joints: Sequence[str]) -> Array:
    """Return qd (n,) [rad/s or m/s] of a JointState without positions; joints that it does not name rest."""
    if len(message.position) or len(message.effort):
        raise TargetError(
            "joint jog: a JointState of velocities must leave position and effort empty", kind="not velocities alone"
        )
    return _velocities(message.name, message.velocity, joints)


def read_joint_jog(message: Message, joints: Sequence[str]) -> Array:
    """Return qd (n,) [rad/s or m/s] of a JointJog of velocities; joints that it does not name rest."""
    if len(message.displacements):
        raise TargetError(
            "joint jog: displacements are not supported; give velocities alone, or a target on ~/target_joints",
            kind="not velocities alone",
        )
    return _velocities(message.joint_names, message.velocities, joints)


def _velocities(names: Sequence[str], values: Sequence[float], joints: Sequence[str]) -> Array:
    if len(names) != len(values) or not len(names):
        raise TargetError(f"joint jog: {len(names)} names, but {len(values)} velocities", kind="wrong length")
    qd = np.zeros(len(joints))
    index = {name: k for k, name in enumerate(joints)}
    if len(set(names)) < len(names):
        raise TargetError("joint jog: it names a joint twice", kind="duplicate joint names")
    for name, value in zip(names, values, strict=True):
        if name not in index:
            raise TargetError(
                f"joint jog: '{name[:LONGEST]}' is no controlled joint; those are {list(joints)}",
                kind="unknown joint",
            )
        qd[index[name]] = value
    return qd
