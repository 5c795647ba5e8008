"""Messages of a live graph for some seconds, as they were serialised: what a bag of it would hold."""

from __future__ import annotations

import time
from collections.abc import Callable

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from ..data.salvage import Raw
from ..exceptions import DataError
from .process import make_executor
from .types_by_name import message_class

DISCOVERY = 10.0  # [s] that the first message may take: on a busy machine nodes need seconds to find each other
LOOK_PERIOD = 0.2  # [s] between looks at the graph
LATCHED = ("robot_description",)


def listen(
    seconds: float, kinds: tuple[str, ...], progress: Callable[[float], None] = lambda done: None
) -> tuple[dict[str, tuple[str, int]], list[Raw]]:
    """({topic: (type, messages)}, messages in the order of arrival) of every topic of one of the types `kinds`, for `seconds`
    from the first message on.
    """
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node, executor = rclpy.create_node("mbrl_doctor"), make_executor()
    executor.add_node(node)
    heard: list[Raw] = []
    known: dict[str, str] = {}
    subscribed: set[str] = set()
    try:
        begin = looked = time.monotonic()
        end = begin + seconds + DISCOVERY
        while (now := time.monotonic()) < end:
            if heard and now + seconds < end:
                begin, end = now, now + seconds
            if now >= looked:
                looked = now + LOOK_PERIOD
                for topic, types in node.get_topic_names_and_types():
                    known.setdefault(topic, types[0])
                    if types[0] in kinds and topic not in subscribed and node.count_publishers(topic):
                        subscribed.add(topic)
                        _subscribe(node, topic, types[0], heard)
                progress(now - begin)
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return {topic: (kind, sum(m[0] == topic for m in heard)) for topic, kind in known.items()}, heard


def _subscribe(node, topic: str, kind: str, heard: list[Raw]) -> None:
    latched = topic.endswith(LATCHED)
    qos = QoSProfile(
        depth=1000,
        reliability=ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    try:
        node.create_subscription(
            message_class(kind),
            topic,
            lambda data: heard.append((topic, kind, time.time_ns(), bytes(data))),
            qos,
            raw=True,
        )
    except DataError as error:
        node.get_logger().warning(str(error))
