"""From target messages to values. A malformed one raises TargetError, which is told to whoever sent it."""

from __future__ import annotations

import numpy as np

from ..exceptions import TargetError
from ..references.segments import Waypoints
from ..references.targets import LONGEST_TRAJECTORY, checked_pose
from ..robots.rotation import matrix_of, quaternion_of
from ..types import Array
from .joint_order import Index, JointOrder
from .point_cloud import cloud_columns
from .readers import Message, seconds


def read_joint_target(message: Message, order: JointOrder) -> Array:
    """Return q (n,) [rad or m] of a JointState that names every joint."""
    index = _index(order, message.name, "joint target")
    if len(message.position) != len(message.name):
        raise TargetError(f"joint target: {len(message.name)} names but {len(message.position)} positions")
    q: Array = np.asarray(message.position, dtype=np.float64)[index]
    return q


def point_numbers(message: Message) -> list[float]:
    """Return the numbers of a PointStamped."""
    return [message.point.x, message.point.y, message.point.z]


def pose_numbers(message: Message) -> list[float]:
    """Return the numbers of a PoseStamped, the quaternion x, y, z, w last."""
    p, o = message.pose.position, message.pose.orientation
    return [p.x, p.y, p.z, o.x, o.y, o.z, o.w]


def read_point_target(message: Message, T: Array) -> Array:
    """Return p (3,) [m] of a PointStamped in the base frame; T (4, 4) takes points of the message's frame into it."""
    p: Array = T[:3, :3] @ point_numbers(message) + T[:3, 3]
    return p


def read_pose_target(message: Message, T: Array) -> Array:
    """Return [p; x, y, z, w] (7,) [m] of a PoseStamped in the base frame; TargetError if it is no pose.

    T (4, 4) takes points of the message's frame into the base frame.
    """
    pose = checked_pose(pose_numbers(message))
    turned = quaternion_of(T[:3, :3] @ matrix_of(pose[3:]))
    return np.concatenate((T[:3, :3] @ pose[:3] + T[:3, 3], turned))


def read_trajectory_target(message: Message, order: JointOrder) -> Waypoints:
    """Return the points of a JointTrajectory: positions of every joint, and velocities and accelerations where given.

    As in joint_trajectory_controller with its default settings, every joint must be named, a point without positions
    or with efforts is refused, and a list that is not empty has one entry for every joint.
    """
    index, count = _index(order, message.joint_names, "trajectory target"), len(message.joint_names)
    if not message.points:
        raise TargetError("trajectory target: it has no points")
    if len(message.points) > LONGEST_TRAJECTORY:
        raise TargetError(f"a trajectory must have 1 to {LONGEST_TRAJECTORY} points, got {len(message.points)}")
    rows: dict[str, list[Array]] = {"positions": [], "velocities": [], "accelerations": []}
    for k, point in enumerate(message.points):
        given = {"positions": point.positions, "velocities": point.velocities, "accelerations": point.accelerations}
        if len(point.effort):
            raise TargetError(f"trajectory target: point {k} has efforts, which cannot be tracked; leave them empty")
        for name, values in given.items():
            if len(values) != count and (name == "positions" or len(values)):
                raise TargetError(f"trajectory target: point {k} has {len(values)} {name} for {count} joints")
            absent = np.full(len(index), np.nan)
            rows[name].append(np.asarray(values, dtype=np.float64)[index] if len(values) else absent)
    times = [seconds(point.time_from_start) for point in message.points]
    return Waypoints.of(times, *(np.array(rows[name]) for name in rows))


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
