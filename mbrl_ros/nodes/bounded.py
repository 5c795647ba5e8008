"""Subscriptions whose messages are judged by their length before they are made objects.

Making an object of a message of some megabytes takes up to half a second, in which no other Python code of the process
runs: no command would leave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from std_msgs.msg import String

from ..messages.message_size import too_large
from ..robots.document import LARGEST_DESCRIPTION
from . import qos


def reading(
    kind: type, largest: int, callback: Callable[[Any], None], refuse: Callable[[bytes], None]
) -> Callable[[bytes], None]:
    """Return a callback for serialized messages: `refuse` gets those above `largest` bytes, `callback` all others."""

    def on_bytes(raw: bytes) -> None:
        if len(raw) > largest:
            refuse(raw)
        else:
            callback(deserialize_message(raw, kind))

    return on_bytes


def subscribe(
    node: Node,
    kind: type,
    topic: str,
    callback: Callable[[Any], None],
    profile: QoSProfile,
    largest: int,
    refuse: Callable[[bytes], None],
) -> Subscription:
    """Subscribe to messages of at most `largest` bytes; see `reading`."""
    return node.create_subscription(kind, topic, reading(kind, largest, callback, refuse), profile, raw=True)


def subscribe_description(
    node: Node, callback: Callable[[String], None], refuse: Callable[[bytes], None]
) -> Subscription:
    """Subscribe to robot_description, of at most LARGEST_DESCRIPTION bytes."""
    return subscribe(node, String, "robot_description", callback, qos.LATCHED, LARGEST_DESCRIPTION, refuse)


def too_large_description(raw: bytes) -> str:
    """Return in words why a description was refused."""
    text = too_large("robot_description", len(raw), LARGEST_DESCRIPTION)
    return f"{text}; describe the robot alone, with its meshes in files"
