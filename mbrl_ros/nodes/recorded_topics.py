"""Which topics record_node records, and with which quality of service."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray, String

# Last parts of the names of the topics that are recorded: everything that a replay needs.
RECORDED_TOPICS = (
    "joint_states",
    "commands",
    "commands_in",
    "guard_status",
    "shadow_commands",
    "trajectory_commands",
    "gripper",
    "gripper_commands",
    "features",
    "features_vector",
    "target_joints",
    "target_point",
    "target_pose",
    "target_features",
    "target_twist",
    "target_velocities",
    "accepted_jog",
    "target_progress",
    "target_trajectory",
    "goal_trajectory",
    "plan",
    "status",
    "message",
    "event_log",
    "policy",
    "supervision",
    "events",
    "diagnostics",
    "robot_description",
    "parameter_events",
)
GLOBAL = ("/diagnostics", "/parameter_events", "/clock")  # outside of every namespace
RECORDER_RELIABLE = QoSProfile(depth=1000)
RECORDER_HISTORY = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RECORDER_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Subscribed to before they exist, so that their first message is not missed; {node} stands for the node's name.
EXPECTED = {
    "commands": (Float64MultiArray, RECORDER_RELIABLE),
    "{node}/shadow_commands": (Float64MultiArray, RECORDER_RELIABLE),
    "{node}/status": (Float64MultiArray, RECORDER_RELIABLE),
    "{node}/event_log": (String, RECORDER_HISTORY),
}


def recorded(topic: str, namespace: str, patterns: Sequence[str]) -> bool:
    """Return whether `topic` is recorded: by its last part in `namespace`, or because one of `patterns` matches."""
    inside = topic.startswith(namespace.rstrip("/") + "/") or topic in GLOBAL
    return (
        inside
        and topic.rsplit("/", 1)[-1] in RECORDED_TOPICS
        or any(fnmatch.fnmatchcase(topic, pattern) for pattern in patterns)
    )


def subscription_qos(offered: Sequence[QoSProfile]) -> QoSProfile:
    """Return a profile that is reliable, and latched, where every one of the publishers' profiles `offered` is."""
    reliable = all(qos.reliability is ReliabilityPolicy.RELIABLE for qos in offered)
    return QoSProfile(
        depth=1000,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched(offered) else DurabilityPolicy.VOLATILE,
    )


def latched(offered: Sequence[QoSProfile]) -> bool:
    """Return whether every publisher keeps its last messages for late subscribers."""
    return all(qos.durability is DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)


def rosbags_qos(profiles: Sequence[QoSProfile]) -> list[Any]:
    """Return the profiles as rosbags writes them into a bag; players offer them again."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9223372036, 854775807)
    return [
        Qos(
            QosHistory.KEEP_LAST,
            max(1, qos.depth),
            QosReliability.RELIABLE if qos.reliability is ReliabilityPolicy.RELIABLE else QosReliability.BEST_EFFORT,
            QosDurability.TRANSIENT_LOCAL
            if qos.durability is DurabilityPolicy.TRANSIENT_LOCAL
            else QosDurability.VOLATILE,
            forever,
            forever,
            QosLiveliness.AUTOMATIC,
            forever,
            False,
        )
        for qos in profiles
    ]
