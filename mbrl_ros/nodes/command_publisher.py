"""Publish commands for a forward_command_controller, in the order of its joints, and if wanted as a trajectory.

No command is published before the joints and the interface of its reader are known to be those of the robot
(forward_controller.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from ..config.sections.nodes import NodeSettings
from ..guard.command_bytes import PAST_GUARD
from ..robots import Robot
from ..types import Array
from . import message_writers, qos
from .feedback_output import FEEDBACK_TOPIC
from .forward_controller import ForwardController

TOPIC, TRAJECTORY_TOPIC = "commands", "trajectory_commands"


class CommandPublisher:
    """The publishers of commands; `withheld` counts those that could not be published yet."""

    def __init__(self, node: LifecycleNode, robot: Robot, settings: NodeSettings):
        self._node, self._robot = node, robot
        guarded = bool(settings.guard) and not settings.shadow
        topic = "~/shadow_commands" if settings.shadow else f"{settings.guard}/commands_in" if guarded else TOPIC
        self._array = node.create_publisher(Float64MultiArray, topic, qos.RELIABLE)
        self._past_guard = node.create_publisher(Float64MultiArray, TOPIC, qos.RELIABLE) if guarded else None
        # whether commands go to the robot's controller as well, past the guard, and whether the guard is told so
        self.past_guard, self._says_so = False, not settings.lockstep
        self._trajectory = (
            node.create_publisher(JointTrajectory, TRAJECTORY_TOPIC, qos.RELIABLE)
            if settings.trajectory_commands and not settings.shadow
            else None
        )
        self._topics: tuple[str, ...] = (TOPIC,)
        if self._trajectory is not None:
            self._topics += (TRAJECTORY_TOPIC,)
        if settings.feedback_commands:
            self._topics += (FEEDBACK_TOPIC,)
        self._forward = ForwardController(
            node, robot, TOPIC, settings.forward_controller, lockstep=settings.lockstep or settings.shadow
        )
        self.withheld = 0

    def publish(self, stamp: float, u: Array) -> None:
        """Publish the command u (n,), in the robot's order, for the state of `stamp` [s]."""
        order = self._forward.order
        if order is None:
            self.withheld += 1
            return
        remark = ""
        if self.past_guard and self._past_guard is not None:
            self._past_guard.publish(message_writers.to_command(stamp, u[order], self._forward.names))
            remark = PAST_GUARD if self._says_so else ""
        self._array.publish(message_writers.to_command(stamp, u[order], self._forward.names, remark))
        if self._trajectory is not None:
            self._trajectory.publish(
                message_writers.to_trajectory_command(u, self._robot.joints, self._robot.interface)
            )

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics on which a robot's controller may read the commands."""
        return self._topics

    @property
    def readers(self) -> int:
        """Return with how many readers of the robot's topic this node is connected, past the guard."""
        return 0 if self._past_guard is None else self._past_guard.get_subscription_count()

    @property
    def order(self) -> NDArray[np.intp] | None:
        """Return the indices (n,) of the robot's joints in the order of the commands; None: not known yet."""
        return self._forward.order

    def wait_until_sent(self, timeout: Duration) -> None:
        """Wait until every subscriber has acknowledged the commands."""
        self._array.wait_for_all_acked(timeout)

    def destroy(self) -> None:
        """Release publishers and timer."""
        for publisher in (self._array, self._past_guard, self._trajectory):
            if publisher is not None:
                self._node.destroy_publisher(publisher)
        self._forward.destroy()
