"""The commands that sim_node's robot gets: from one topic, or from several for some of the joints each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64MultiArray

from ..messages import readers
from ..types import Array
from .command_mailbox import CommandMailbox
from .command_topics import parse_command_topics

REPORT = 10.0  # [s] of waiting between two warnings


class SimulatedCommands:
    """A mailbox with its subscriptions.

    Parameters
    ----------
    node
        sim_node.
    entries
        `command_topics`; empty: the topic `commands`, for all joints.
    joints
        of the robot.
    """

    def __init__(self, node: Node, entries: Sequence[str], joints: Sequence[str]):
        self._node, self._parts, self._n = node, parse_command_topics(entries, joints), len(joints)
        mailbox = self._mailbox = CommandMailbox(self._parts)
        self.expect, self.newest, self.close = mailbox.expect, mailbox.newest, mailbox.close
        for topic in self._parts or ("",):
            take = partial(self._take, topic=topic)
            node.create_subscription(Float64MultiArray, topic or "commands", take, QoSProfile(depth=10))

    def wait(self, timeout: float, period: float, again: Callable[[], None], *, of_all: bool = True) -> Array | None:
        """Return the command (n,) for the newest state; see `CommandMailbox.wait`. `again` sends the state again."""

        def resend(waited: float) -> None:
            again()
            if waited > REPORT:
                self._node.get_logger().warning(
                    f"waiting for a command since {waited:.0f} s", throttle_duration_sec=REPORT
                )

        return self._mailbox.wait(timeout, period, resend, of_all=of_all)

    def _take(self, message: Float64MultiArray, topic: str) -> None:
        command, count = np.array(message.data), len(self._parts[topic]) if topic else self._n
        wrong = "" if len(command) == count else f"must have {count} entries, got {len(command)}"
        if not wrong and topic and not np.isfinite(command).all():  # the plant would refuse the other topics' with it
            wrong = "must be finite"
        if wrong:
            on = f" on {topic}" if topic else ""
            self._node.get_logger().warning(f"a command{on} {wrong}; ignored", throttle_duration_sec=1.0)
            return
        self._mailbox.put(readers.answered_stamp(message), command, topic)
