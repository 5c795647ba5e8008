"""From target messages to values. A malformed one raises TargetError, which is told to whoever sent it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exceptions import TargetError
from ..types import Array
from .point_cloud import cloud_columns
from .readers import Index, JointOrder, Message, seconds


def read_joint_target(message: Message, order: JointOrder) -> Array:
    """Return q (n,) [rad or m] of a JointState that names every joint."""
    index = _index(order, message.name, "joint target")
    if len(message.position) != len(message.name):
        raise TargetError(f"joint target: {len(message.name)} names but {len(message.position)} positions")
    q: Array = np.asarray(message.position, dtype=np.float64)[index]
    return q


def read_point_target(message: Message, root: str) -> Array:
    """Return p (3,) [m] of a PointStamped in the frame `root`, the robot's base."""
    return _in_frame(message.header.frame_id, message.point, root)


def read_pose_target(message: Message, root: str) -> Array:
    """Return p (3,) [m] of a PoseStamped in the frame `root`; an orientation, which would be ignored, is refused."""
    orientation = message.pose.orientation
    if (orientation.x, orientation.y, orientation.z) != (0.0, 0.0, 0.0):
        raise TargetError("pose target: the orientation cannot be controlled; leave it at its default (0, 0, 0, 1)")
    return _in_frame(message.header.frame_id, message.pose.position, root)


def read_trajectory_target(message: Message, order: JointOrder) -> tuple[Array, Array]:
    """Return times (T,) [s] after the header's stamp and Q (T, n) [rad or m] of a JointTrajectory."""
    index = _index(order, message.joint_names, "trajectory target")
    if not message.points:
        raise TargetError("trajectory target: it has no points")
    for k, point in enumerate(message.points):
        if len(point.positions) != len(message.joint_names):
            raise TargetError(
                f"trajectory target: point {k} has {len(point.positions)} positions for "
                f"{len(message.joint_names)} joints"
            )
    times = np.array([seconds(point.time_from_start) for point in message.points])
    return times, np.array([np.asarray(point.positions, dtype=np.float64)[index] for point in message.points])


def read_feature_target(message: Message) -> Array:
    """Return s (m,) [image coordinates] of a PointCloud2 with the fields x and y."""
    try:
        columns = cloud_columns(message, ("x", "y"))
    except ValueError as error:
        raise TargetError(f"feature target: {error}") from None
    return np.column_stack((columns["x"], columns["y"])).ravel()


def _index(order: JointOrder, names: list[str], what: str) -> Index:
    resolved = order.resolve(names)
    if isinstance(resolved, tuple):
        raise TargetError(f"{what}: {resolved[1]}")
    return resolved


def _in_frame(frame_id: str, point: Any, root: str) -> Array:
    if frame_id not in ("", root):
        raise TargetError(
            f"point target: frame '{frame_id}' is not the robot's base frame '{root}'; transform the target "
            f"into '{root}' before sending it"
        )
    return np.array([point.x, point.y, point.z])
