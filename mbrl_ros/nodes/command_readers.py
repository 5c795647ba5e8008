"""Who executes the commands of a topic: its subscribers without those that only look.

mpc_node listens to what its guard forwards, and recorders and command-line tools subscribe to everything. None of them
moves a robot, and none says in which order or as what the robot's controller takes a command.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rclpy.node import Node

OBSERVERS = ("record_node", "rosbag2_recorder", "foxglove_bridge", "plotjuggler")
UNKNOWN = "_NODE_NAME_UNKNOWN_"  # rmw: the endpoint was discovered before its node, which follows in a moment
OBSERVER_PREFIXES = ("_ros2cli", "rqt_")  # ros2 topic echo and rqt append the process id


def full_name(endpoint: Any) -> str:
    """Return the full name of the node behind a publisher or a subscription of the graph."""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def resolved(node: Node, name: str) -> str:
    """Return the full name of another node, which is given in full or as a name in the namespace of `node`."""
    return name if name.startswith("/") else f"{node.get_namespace().rstrip('/')}/{name}"


def readers(node: Node, topic: str, own: Collection[str] = ()) -> list[Any]:
    """Return the subscriptions of `topic` that are neither of the nodes `own` (full names) nor of observers.

    One whose node is not known yet does not count: it may be a controller that is to be asked first.
    """
    return [
        endpoint
        for endpoint in node.get_subscriptions_info_by_topic(topic)
        if full_name(endpoint) not in own
        and endpoint.node_name not in (UNKNOWN, *OBSERVERS)
        and not endpoint.node_name.startswith(OBSERVER_PREFIXES)
    ]
