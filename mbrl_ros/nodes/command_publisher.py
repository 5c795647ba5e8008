"""Publish commands for a forward_command_controller, in the order of its joints, and if wanted as a trajectory.

If the controller's name is given, its parameter `joints` is requested, and no command is published before it has
answered: in a wrong order the command would move the wrong joints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter_client import AsyncParameterClient
from rclpy.timer import Timer
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from ..config.sections.nodes import NodeSettings
from ..exceptions import JointNameError
from ..robots import Robot
from ..types import Array
from . import message_writers, qos

ASK_AGAIN = 1.0  # [s]


class CommandPublisher:
    """The publishers of commands; `withheld` counts those that could not be published yet."""

    def __init__(self, node: LifecycleNode, robot: Robot, settings: NodeSettings, dt: float):
        self._node, self._robot, self._dt = node, robot, dt
        self._controller = settings.forward_controller
        guarded = bool(settings.guard) and not settings.shadow
        topic = "~/shadow_commands" if settings.shadow else f"{settings.guard}/commands_in" if guarded else "commands"
        self._array = node.create_publisher(Float64MultiArray, topic, qos.RELIABLE)
        self._past_guard = node.create_publisher(Float64MultiArray, "commands", qos.RELIABLE) if guarded else None
        self.past_guard = False  # whether commands go to the robot's controller as well: the guard has ended
        self._trajectory = (
            node.create_publisher(JointTrajectory, "trajectory_commands", qos.RELIABLE)
            if settings.trajectory_commands and not settings.shadow
            else None
        )
        self._order: NDArray[np.intp] | None = None if self._controller else np.arange(robot.n)
        self._names: tuple[str, ...] = ()  # of the joints, in another order than the robot's
        self.withheld = 0
        self._timer: Timer | None = None
        if self._controller:
            client = AsyncParameterClient(node, self._controller)
            self._timer = node.create_timer(ASK_AGAIN, lambda: self._ask(client))

    def publish(self, stamp: float, u: Array) -> None:
        """Publish the command u (n,), in the robot's order, for the state of `stamp` [s]."""
        if self._order is None:
            self.withheld += 1
            return
        message = message_writers.to_command(stamp, u[self._order], self._names)
        self._array.publish(message)
        if self.past_guard and self._past_guard is not None:
            self._past_guard.publish(message)
        if self._trajectory is not None:
            self._trajectory.publish(
                message_writers.to_trajectory_command(u, self._robot.joints, self._robot.interface, self._dt)
            )

    @property
    def order(self) -> NDArray[np.intp] | None:
        """Return the indices (n,) of the robot's joints in the order of the commands; None: not known yet."""
        return self._order

    def wait_until_sent(self, timeout: Duration) -> None:
        """Wait until every subscriber has acknowledged the commands."""
        self._array.wait_for_all_acked(timeout)

    def destroy(self) -> None:
        """Release publishers and timer."""
        for publisher in (self._array, self._past_guard, self._trajectory):
            if publisher is not None:
                self._node.destroy_publisher(publisher)
        if self._timer is not None:
            self._node.destroy_timer(self._timer)

    def _ask(self, client: AsyncParameterClient) -> None:
        if client.services_are_ready():
            if self._timer is not None:
                self._timer.cancel()
            client.get_parameters(["joints"], self._on_joints)
        else:
            self._node.get_logger().warning(
                f"waiting for the parameters of '{self._controller}'; without its joints no command is published",
                throttle_duration_sec=5.0,
            )

    def _on_joints(self, future: Any) -> None:
        joints = list(future.result().values[0].string_array_value)
        if sorted(joints) != sorted(self._robot.joints):
            error = JointNameError(self._robot.joints, joints, what=f"joints of {self._controller}")
            self._node.get_logger().error(f"no command will be published: {error}")
            return
        self._names = tuple(joints) if joints != list(self._robot.joints) else ()
        self._order = np.array([self._robot.joints.index(joint) for joint in joints])
        self._node.get_logger().info(f"commands go to '{self._controller}' in the order {joints}")
