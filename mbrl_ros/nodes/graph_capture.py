"""Capture the serialized messages of a live ROS graph for some seconds: what a bag of it would hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from ..data.salvage import Raw
from ..exceptions import DataError
from .executor import make_executor
from .message_types import message_class

DISCOVERY = 10.0  # [s] that the first message may take: on a busy machine nodes need seconds to find each other
GRAPH_PERIOD = 0.2  # [s] between two searches for new topics
LATCHED_TOPICS = ("robot_description",)


def capture(
    seconds: float, types: tuple[str, ...], progress: Callable[[float], None] = lambda done: None
) -> tuple[dict[str, tuple[str, int]], list[Raw]]:
    """Subscribe to every topic of one of `types` and collect its messages for `seconds` from the first message on.

    Parameters
    ----------
    seconds
        Duration of the capture [s]; at most DISCOVERY seconds are waited for the first message.
    types
        Message types by name, for instance "sensor_msgs/msg/JointState".
    progress
        Is called now and then with the seconds since the first message.

    Returns
    -------
    topics
        {topic: (type, number of messages captured)} of every topic of the graph.
    messages
        The serialized messages in the order of arrival.
    """
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node, executor = rclpy.create_node("mbrl_doctor"), make_executor()
    executor.add_node(node)
    captured: list[Raw] = []
    known: dict[str, str] = {}
    subscribed: set[str] = set()
    try:
        begin = next_search = time.monotonic()
        end = begin + seconds + DISCOVERY
        while (now := time.monotonic()) < end:
            if captured and now + seconds < end:
                begin, end = now, now + seconds
            if now >= next_search:
                next_search = now + GRAPH_PERIOD
                for topic, kinds in node.get_topic_names_and_types():
                    known.setdefault(topic, kinds[0])
                    if kinds[0] in types and topic not in subscribed and node.count_publishers(topic):
                        subscribed.add(topic)
                        _subscribe(node, topic, kinds[0], captured)
                progress(now - begin)
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        node.destroy_node()
        try_shutdown()
    return {topic: (kind, sum(m[0] == topic for m in captured)) for topic, kind in known.items()}, captured


def _subscribe(node: Node, topic: str, kind: str, captured: list[Raw]) -> None:
    latched = topic.endswith(LATCHED_TOPICS)
    qos = QoSProfile(
        depth=1000,
        reliability=ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )

    def on_message(data: Any) -> None:
        captured.append((topic, kind, time.time_ns(), bytes(data)))

    try:
        node.create_subscription(message_class(kind), topic, on_message, qos, raw=True)
    except DataError as error:
        node.get_logger().warning(str(error))
