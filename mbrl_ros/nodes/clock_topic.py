"""The topic /clock, read when the time is needed and not whenever a message comes.

rclpy's own time source wakes the executor for every message, which at 1 kHz needs a fifth of a core. Here the newest
message waits in a subscription of depth 1, which no executor knows, until somebody asks for the time.
"""

from __future__ import annotations

import threading

from rclpy.clock import ROSClock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from ..guard.command_bytes import read_nanoseconds
from .executor import companion

CLOCK_TOPIC = "/clock"


class ClockTopic:
    """Gives `node` with use_sim_time its time, in place of the subscription that rclpy has made; from any thread."""

    def __init__(self, node: Node):
        clock = node.get_clock()
        assert isinstance(clock, ROSClock), "the clock of every node is one"
        self._clock, self._lock, self._newest = clock, threading.Lock(), 0.0
        topic = node.resolve_topic_name(CLOCK_TOPIC)
        for subscription in [each for each in node.subscriptions if each.topic_name == topic]:
            node.destroy_subscription(subscription)
        self._reader = companion(node, "clock")
        self._subscription = self._reader.create_subscription(
            Clock, topic, self._not_called, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        )

    def now(self) -> float:
        """Return the newest time of /clock [s], 0 before the first, and set the node's clock to it."""
        with self._lock:
            with self._subscription.handle:
                taken = self._subscription.handle.take_message(Clock, True)
            if taken is not None:
                nanoseconds = read_nanoseconds(taken[0])
                if nanoseconds is None:  # in another encoding
                    clock = deserialize_message(taken[0], Clock).clock
                    nanoseconds = clock.sec * 10**9 + clock.nanosec
                if nanoseconds >= 0:
                    self._newest = 1e-9 * nanoseconds
                    self._clock.set_ros_time_override(Time(nanoseconds=nanoseconds, clock_type=ClockType.ROS_TIME))
            return self._newest

    def destroy(self) -> None:
        """Release the subscription."""
        self._reader.destroy_node()

    def _not_called(self, message: Clock) -> None:
        """Do nothing: no executor runs this subscription."""
