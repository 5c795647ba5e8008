"""The commands that sim_node's robot gets: from one topic, or from several for some of the joints each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from ..config.sections.sim_node import SimNodeSettings
from ..exceptions import ConfigurationError
from ..messages import readers
from ..robots import Robot
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
    settings
        `joint_commands`: one topic of JointState; else `command_topics`; without both the topic `commands`.
    robot
        whose joints are commanded.
    """

    def __init__(self, node: Node, settings: SimNodeSettings, robot: Robot):
        self._node, self._robot, self._n = node, robot, robot.n
        self._parts = parse_command_topics(settings.command_topics, robot.joints)
        mailbox = self._mailbox = CommandMailbox(self._parts)
        self.expect, self.newest, self.close = mailbox.expect, mailbox.newest, mailbox.close
        if topic := settings.joint_commands:
            for other in ("lockstep", "command_topics"):
                if value := getattr(settings, other):
                    key, why = "joint_commands", "its messages do not tell which state they answer, and hold all joints"
                    raise ConfigurationError(f"'{key}' excludes '{other}' ({value}): {why}", key=key, value=topic)
            node.create_subscription(JointState, topic, self._take_joints, QoSProfile(depth=10))
            return
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

    def _take_joints(self, message: JointState) -> None:
        """Take a command of every joint, by their names, in the field of the robot's interface."""
        names = list(message.name)
        values = np.array(getattr(message, self._robot.interface))
        wrong = "" if len(values) == len(names) else f"has {len(values)} entries of {self._robot.interface}"
        if missing := [joint for joint in self._robot.joints if joint not in names]:
            wrong = f"lacks {missing}"
        elif not wrong:
            values = values[[names.index(joint) for joint in self._robot.joints]]
            if np.isnan(values).all():
                return  # no controller of ros2_control is active yet
            wrong = "" if np.isfinite(values).all() else "must be finite"
        if wrong:
            self._node.get_logger().warning(f"a command {wrong}; ignored", throttle_duration_sec=1.0)
            return
        self._mailbox.put(None, values)

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
