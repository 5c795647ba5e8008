"""record_node: record a rosbag2 of everything that a replay needs.

It is a process of its own, so that control never waits for a disk. It subscribes, as they appear, to the topics whose
last part is in recorded_topics.RECORDED_TOPICS (or that match `topics`), reliably where every publisher offers that,
and latched where they offer that. Messages are written as they come, without deserialization. A node with the name
`node` is asked for all its parameters; they and the versions in use are written on the topic session_info.SESSION, from
which `mbrl replay` builds the same controller.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from ..config.sections.nodes import RecordNodeSettings
from ..data.bag_writer import Limits, RotatingBag
from ..exceptions import DataError
from .executor import EndRequest
from .message_types import message_class
from .parameters import Parameters, ReadsOverrides
from .process import run
from .recorded_topics import EXPECTED, RECORDER_LATCHED, latched, recorded, rosbags_qos, subscription_qos
from .session_info import SESSION, SessionReader
from .wall_timer import create_wall_timer

TOPIC_SEARCH_PERIOD = 0.2  # [s] between two searches for new topics: what is published before is lost
CAPACITY = 20_000  # messages that may wait for the disk
NICE = 10
IDLE, LONGEST_END = 0.5, 3.0  # [s]: recording ends when nothing has come for IDLE, after LONGEST_END at the latest


class RecordNode(ReadsOverrides, Node):
    """Subscribe to serialized messages and pass them to the thread that writes."""

    def __init__(self, end: EndRequest, **options: Any):
        super().__init__("record_node", **options)
        settings = Parameters(self, {"": RecordNodeSettings}).section(RecordNodeSettings)
        self.settings = settings
        folder = Path(settings.output or time.strftime("mbrl_%Y%m%d_%H%M%S"))
        self._bag = RotatingBag(
            folder,
            storage=settings.storage,
            compress=settings.compress,
            limits=Limits(settings.part_mb, settings.total_mb, settings.min_free_mb),
            warn=self._warn,
        )
        self._bag.add_topic(SESSION, "std_msgs/msg/String", rosbags_qos([RECORDER_LATCHED]), latched=True)
        self._waiting: queue.Queue[tuple[str, int, bytes] | None] = queue.Queue(CAPACITY)
        self._dropped, self._newest = 0, 0.0
        self._unknown: set[str] = set()  # topics whose type is not known here
        self._subscribed: dict[str, object] = {}
        self._session = SessionReader(self, self._write_session)
        self._writer = threading.Thread(target=self._write, name="writer")
        self._writer.start()
        self.get_logger().info(f"recording into {folder}")

    def begin(self) -> None:
        """Subscribe to what is expected and to what exists, and go on searching."""
        for name, (message, profile) in EXPECTED.items():
            topic = self.resolve_topic_name(name.format(node=self.settings.node))
            self._bag.add_topic(topic, f"std_msgs/msg/{message.__name__}", rosbags_qos([profile]))
            self._subscribed[topic] = self._subscription(message, topic, profile)
        self._search()
        create_wall_timer(self, TOPIC_SEARCH_PERIOD, self._search)

    def end(self) -> None:
        """Record the last messages of the nodes that end at the same time, then close the bag."""
        end = time.monotonic() + LONGEST_END
        while time.monotonic() < end and time.monotonic() - self._newest < IDLE:
            time.sleep(0.05)
        self._waiting.put(None)
        self._writer.join()
        lost = self._bag.lost + self._dropped
        self.get_logger().info(
            f"{self._bag.written} messages on {len(self._subscribed)} topics" + (f", {lost} lost" if lost else "")
        )

    # --- topics and nodes -------------------------------------------------------------------------------------------

    def _search(self) -> None:
        for topic, kinds in self.get_topic_names_and_types():
            if (
                topic not in self._subscribed
                and topic not in self._unknown
                and len(kinds) == 1
                and recorded(topic, self.get_namespace(), self.settings.topics)
            ):
                self._subscribe(topic, kinds[0])
        for name, namespace in self.get_node_names_and_namespaces():
            if name == self.settings.node:
                self._session.ask(f"{namespace.rstrip('/')}/{name}")

    def _subscribe(self, topic: str, kind: str) -> None:
        offered = [endpoint.qos_profile for endpoint in self.get_publishers_info_by_topic(topic)]
        if not offered:
            return
        try:
            message = message_class(kind)
        except DataError:
            message = None
        if message is None or not self._bag.add_topic(topic, kind, rosbags_qos(offered), latched(offered)):
            self._unknown.add(topic)
            self._warn(f"{topic} is not recorded: its type {kind} is not known here")
            return
        self._subscribed[topic] = self._subscription(message, topic, subscription_qos(offered))

    def _subscription(self, message: Any, topic: str, qos: QoSProfile) -> object:
        def on_message(data: Any) -> None:
            self._enqueue(topic, bytes(data))

        return self.create_subscription(
            message,
            topic,
            on_message,
            qos,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._count_lost),
        )

    def _count_lost(self, event: QoSMessageLostInfo) -> None:
        """Count messages that were sent but did not arrive: a publisher keeps only so many for slow subscribers."""
        self._dropped += event.total_count_change

    # --- messages -------------------------------------------------------------------------------------------------

    def _enqueue(self, topic: str, data: bytes) -> None:
        self._newest = time.monotonic()
        try:
            self._waiting.put_nowait((topic, time.time_ns(), data))
        except queue.Full:
            self._dropped += 1
            if self._dropped == 1:
                self._warn("the disk is too slow: messages are being dropped")

    def _write(self) -> None:
        """Write what waits; after the bag is made, no other thread uses it but to add topics."""
        os.nice(NICE)  # on Linux of this thread alone: receiving messages must not be late, writing them may be
        while (item := self._waiting.get()) is not None:
            self._bag.write(*item)
        self._bag.close()

    def _write_session(self, node: str, count: int, text: str) -> None:
        self._enqueue(SESSION, serialize_message(String(data=text)))
        self.get_logger().info(f"{count} parameters of {node} recorded")

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    return run(RecordNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
