"""Write the core's values as ROS messages. The reading direction is messages/readers.py, which needs no ROS."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ..references.segments import Waypoints
from ..types import Array, FeatureFrame, Plan


def to_time(stamp: float) -> Time:
    """Write a stamp [s] as a Time, rounded to the nanosecond."""
    sec = math.floor(stamp)
    nanosec = round(1e9 * (stamp - sec))
    return Time(sec=sec + nanosec // 10**9, nanosec=nanosec % 10**9)


def to_duration(seconds: float) -> Duration:
    """Write a duration [s], rounded to the nanosecond."""
    nanosec = round(1e9 * seconds)
    return Duration(sec=nanosec // 10**9, nanosec=nanosec % 10**9)


def to_cloud(frame: FeatureFrame, frame_id: str = "camera") -> PointCloud2:
    """Write a feature frame as a cloud of float64 x, y, confidence, one row per point."""
    names = ("x", "y", "confidence")
    data = np.column_stack((frame.points.reshape(-1, 2), frame.confidence))
    message = PointCloud2(
        height=1,
        width=len(data),
        point_step=24,
        row_step=24 * len(data),
        is_dense=True,
        fields=[
            PointField(name=name, offset=8 * i, datatype=PointField.FLOAT64, count=1) for i, name in enumerate(names)
        ],
        data=array("B", data.astype("<f8").tobytes()),
    )
    message.header.stamp, message.header.frame_id = to_time(frame.stamp), frame_id
    return message


def to_joint_state(stamp: float, joints: Sequence[str], q: Array, qd: Array, effort: Array) -> JointState:
    """Write positions q (n,), velocities qd (n,) and efforts (n,), or empty ones, of `joints` at `stamp` [s]."""
    message = JointState(name=list(joints), position=q.tolist(), velocity=qd.tolist(), effort=effort.tolist())
    message.header.stamp = to_time(stamp)
    return message


def to_command(stamp: float, u: Array, joints: Sequence[str] = (), remark: str = "") -> Float64MultiArray:
    """Write a command for a forward_command_controller, which reads `data` only.

    Parameters
    ----------
    stamp
        Stamp [s] of the state that the command answers, written into layout.dim[0].label for every reader that needs
        it: sim_node in lockstep, latency measurements, replays.
    u
        Command (n,) in the order of `joints`.
    joints
        Names written as further labels where their order is not the robot's; empty: the robot's order.
    remark
        Ends the label; PAST_GUARD of guard/command_bytes.py.
    """
    message = Float64MultiArray(data=u.tolist())
    message.layout.dim = [
        MultiArrayDimension(label=f"{stamp:.9f}{remark}", size=u.size, stride=u.size),
        *(MultiArrayDimension(label=joint, size=1, stride=1) for joint in joints),
    ]
    return message


def to_trajectory_command(u: Array, joints: Sequence[str], interface: str) -> JointTrajectory:
    """Write a command u (n,) as a trajectory of one point that applies at once.

    joint_trajectory_controller interpolates from the measured state to a later point, and begins to with every
    message: an arm that gets one in each period would cover a part of each way only, which depends on its phase.
    """
    field = {"position": "positions", "velocity": "velocities", "effort": "effort"}[interface]
    return JointTrajectory(joint_names=list(joints), points=[JointTrajectoryPoint(**{field: u.tolist()})])


def to_trajectory(plan: Plan, joints: Sequence[str], stamp: float, dt: float) -> JointTrajectory:
    """Write the plan's joint positions and velocities, one point per stage of `dt` [s], from `stamp` [s] on."""
    n = len(joints)
    message = JointTrajectory(joint_names=list(joints))
    message.header.stamp = to_time(stamp)
    for stage, x in enumerate(plan.x_hat):
        after = round(1e9 * stage * dt)
        message.points.append(
            JointTrajectoryPoint(
                positions=x[:n].tolist(),
                velocities=x[n : 2 * n].tolist(),
                time_from_start=Duration(sec=after // 10**9, nanosec=after % 10**9),
            )
        )
    return message


def to_trajectory_target(points: Waypoints, joints: Sequence[str], stamp: float) -> JointTrajectory:
    """Write points of a joint trajectory, their positions only, as a target from `stamp` [s] on."""
    message = JointTrajectory(joint_names=list(joints))
    message.header.stamp = to_time(stamp)
    message.points = [
        JointTrajectoryPoint(positions=q.tolist(), time_from_start=to_duration(float(t)))
        for t, q in zip(points.times, points.Q, strict=True)
    ]
    return message
