"""Random messages with errors, for every topic that mpc_node subscribes to."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped, PoseStamped, TwistStamped
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from ...nodes import message_writers

EXTREME = (float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e30, 0.0)
TOPICS = {
    "joint_states": JointState,
    "features": PointCloud2,
    "features_vector": Float64MultiArray,
    "mpc_node/target_joints": JointState,
    "mpc_node/target_point": PointStamped,
    "mpc_node/target_pose": PoseStamped,
    "mpc_node/target_features": PointCloud2,
    "mpc_node/target_trajectory": JointTrajectory,
    "mpc_node/target_twist": TwistStamped,
    "mpc_node/target_velocities": JointState,
}


class BadMessages:
    """A generator of messages that are wrong in a random way."""

    def __init__(self, joints: Sequence[str], home: Sequence[float], seed: int):
        self._joints, self._home, self._rng = list(joints), list(home), np.random.default_rng(seed)

    def draw(self, now: float) -> tuple[str, Any]:
        """Draw a topic and a message for it; `now` [s] is the time of valid stamps."""
        rng = self._rng
        if rng.random() < 0.6:
            return "joint_states", self._joint_state(now)
        topic = list(TOPICS)[rng.integers(1, len(TOPICS))]
        kind = TOPICS[topic]
        if kind is JointState:
            return topic, self._joint_state(now)
        if kind is PointCloud2:
            return topic, self._cloud(now)
        if kind is Float64MultiArray:
            return topic, Float64MultiArray(data=self._numbers(int(rng.integers(0, 9))))
        if kind is JointTrajectory:
            return topic, self._trajectory(now)
        message = kind()
        message.header.frame_id = str(rng.choice(("", "panda_link0", "camera", "x" * 5000)))
        if kind is TwistStamped:
            twist = message.twist
            twist.linear.x, twist.linear.y, twist.angular.z = self._numbers(3)
            message.header.stamp = self._stamp(now)
            return topic, message
        point = message.point if kind is PointStamped else message.pose.position
        point.x, point.y, point.z = self._numbers(3)
        return topic, message

    def _numbers(self, count: int) -> list[float]:
        return [
            float(self._rng.choice(EXTREME)) if self._rng.random() < 0.5 else float(self._rng.normal())
            for _ in range(count)
        ]

    def _stamp(self, now: float) -> Time:
        """Draw a stamp: stale, in the future, long ago, far ahead, unset, or valid."""
        shift = self._rng.choice((0.0, -0.2, 0.3, -1e4, 1e4, -now, 1e-4))
        return message_writers.to_time(max(0.0, min(now + float(shift), 2.0**31 - 1.0)))

    def _joint_state(self, now: float) -> JointState:
        rng, n = self._rng, len(self._joints)
        message = JointState(name=list(self._joints), position=list(self._home), velocity=[0.0] * n)
        message.header.stamp = self._stamp(now)
        error = rng.integers(0, 9)
        if error == 0:
            message.position[rng.integers(n)] = float(rng.choice(EXTREME[:-1]))
        elif error == 1:
            message.velocity[rng.integers(n)] = float(rng.choice(EXTREME[:-1]))
        elif error == 2:
            message.position = message.position[: rng.integers(0, n)]
        elif error == 3:
            message.velocity = [0.0] * int(rng.integers(1, 3 * n))
        elif error == 4:
            message.name[rng.integers(n)] = str(rng.choice(("", "joint", "panda_joint9", "\u00fc" * 300)))
        elif error == 5:
            message.name[rng.integers(1, n)] = message.name[0]
        elif error == 6:
            message.name, message.position, message.velocity = [], array("d"), array("d")
        elif error == 7:
            message.name = [f"joint_{i}" for i in range(2000)]
            message.position = [0.0] * 2000
        else:  # only the stamp is wrong
            message.header.stamp = message_writers.to_time(now - float(rng.choice((0.2, 1.0, 1e3))))
        return message

    def _cloud(self, now: float) -> PointCloud2:
        rng = self._rng
        message = PointCloud2(
            height=int(rng.choice((0, 1, 2**31))),
            width=int(rng.choice((0, 1, 2, 10**6))),
            point_step=int(rng.choice((0, 1, 8, 24))),
            row_step=int(rng.choice((0, 1, 24, 10**6))),
            is_bigendian=bool(rng.integers(2)),
            data=array("B", rng.bytes(int(rng.integers(0, 200)))),
        )
        for name in ("x", "y", "confidence", "")[: rng.integers(0, 5)]:
            message.fields.append(
                PointField(
                    name=name,
                    offset=int(rng.choice((0, 4, 8, 10**6))),
                    datatype=int(rng.integers(0, 10)),
                    count=int(rng.integers(0, 3)),
                )
            )
        message.header.stamp = self._stamp(now)
        return message

    def _trajectory(self, now: float) -> JointTrajectory:
        rng = self._rng
        message = JointTrajectory(joint_names=self._joints if rng.random() < 0.7 else ["a", "b"])
        for _ in range(rng.integers(0, 4)):
            point = JointTrajectoryPoint(positions=self._numbers(int(rng.choice((0, 3, 7, 7, 7)))))
            point.time_from_start.sec = int(rng.integers(-5, 5))
            message.points.append(point)
        message.header.stamp = self._stamp(now)
        return message
