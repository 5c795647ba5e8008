"""The controller of ros2_control that executes the commands: it is asked for its joints and its interface.

In a wrong order the command would move the wrong joints, and an effort that is taken for a velocity would move them
anyhow; so nothing is sent before the controller's joints and interface are known to be the robot's. It is found by the
setting `forward_controller`, or by the name of the topic: the node `X` that subscribes to `X/commands` [ROS 2,
forward_command_controller]. Its parameters `joints` and `interface_name` are read; a controller without the latter
(effort_controllers and the like) is looked up in `controller_manager/list_controllers`, where that is available. It is
asked again when it has been started anew.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.lifecycle import LifecycleNode

from ..exceptions import JointNameError
from ..robots import Robot
from .answers import when_answered
from .command_readers import full_name, readers, resolved
from .wall_timer import create_wall_timer

SEARCH_PERIOD = 0.2  # [s] between two looks at the subscribers
LIST_LOOKS = 10  # looks for which list_controllers is waited for, where a controller does not tell its interface itself
SUFFIX = "/commands"


class ForwardController:
    """What is known of the controller behind a topic.

    Attributes
    ----------
    order : indices (n,) of the robot's joints in the controller's order; None: no command may be sent (yet)
    names : the joints in the controller's order where that is not the robot's, else empty
    """

    def __init__(self, node: LifecycleNode, robot: Robot, topic: str, name: str = "", lockstep: bool = False):
        """Look for the controller of `topic`, called `name` where that is given; in lockstep only then."""
        self.order: NDArray[np.intp] | None = None
        self.names: tuple[str, ...] = ()
        self._node, self._robot, self._topic = node, robot, node.resolve_topic_name(topic)
        self._required = bool(name)
        self._controller = resolved(node, name) if name else ""
        guessed = self._topic.removesuffix(SUFFIX)
        if not name and not lockstep and self._topic.endswith(SUFFIX) and guessed != node.get_namespace().rstrip("/"):
            self._controller = guessed
        self._asked: tuple[bytes, ...] | None = None  # the subscriptions of the controller that was asked
        self._patience = LIST_LOOKS
        self._parameters: Client | None = None
        self._list: Client | None = None
        self._request: Callable[[], Any] = object  # makes a request to list_controllers
        if not self._controller:
            self._open(robot.joints)
            self._timer = None
            return
        self._parameters = node.create_client(GetParameters, f"{self._controller}/get_parameters")
        self._list = self._list_client()
        self._timer = create_wall_timer(node, SEARCH_PERIOD, self._look)

    def destroy(self) -> None:
        """Release the timer and the clients."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        for client in filter(None, (self._parameters, self._list)):
            self._node.destroy_client(client)

    def _list_client(self) -> Client | None:
        """Return a client of list_controllers; None where its messages are not installed."""
        try:
            services = importlib.import_module("controller_manager_msgs.srv")
        except ImportError:
            return None
        self._request = services.ListControllers.Request
        namespace = self._controller.rpartition("/")[0]
        return self._node.create_client(services.ListControllers, f"{namespace}/controller_manager/list_controllers")

    def _look(self) -> None:
        """Find out whether the controller has appeared, or has been started anew, and ask it."""
        subscribers = readers(self._node, self._topic, (self._node.get_fully_qualified_name(),))
        own = tuple(bytes(entry.endpoint_gid) for entry in subscribers if full_name(entry) == self._controller)
        if not own and not self._required:
            if subscribers and self._asked is None:
                self._open(self._robot.joints)  # somebody else reads the commands: there is nobody to ask
            return
        if own != self._asked and (own or self._asked is None):
            self.order = None
            self._ask(own)

    def _ask(self, asked: tuple[bytes, ...]) -> None:
        client = self._parameters
        if client is not None and client.service_is_ready():
            self._asked = asked
            request = client.call_async(GetParameters.Request(names=["joints"]))
            when_answered(self._node, request, self._on_joints)
        else:
            self._node.get_logger().warning(
                f"waiting for the parameters of '{self._controller}'; without its joints no command is published",
                throttle_duration_sec=5.0,
            )

    def _on_joints(self, answer: Any) -> None:
        joints = [joint for value in answer.values for joint in value.string_array_value]
        client = self._parameters
        assert client is not None, "it has answered"
        # apart from the joints: a controller without this parameter would answer neither
        request = client.call_async(GetParameters.Request(names=["interface_name"]))
        when_answered(self._node, request, lambda answer: self._on_interface(answer, joints))

    def _on_interface(self, answer: Any, joints: list[str]) -> None:
        name = "".join(value.string_value for value in answer.values)
        if name and joints:
            self._compare(joints, name)
        elif self._list is not None and self._list.service_is_ready():
            request = self._list.call_async(self._request())
            when_answered(self._node, request, lambda listed: self._on_list(listed, joints))
        elif self._list is not None and self._patience > 0:  # it may be discovered later
            self._patience, self._asked = self._patience - 1, None
        else:
            self._compare(joints, name)

    def _on_list(self, answer: Any, joints: list[str]) -> None:
        own = self._controller.rpartition("/")[2]
        found = next((entry for entry in answer.controller if entry.name == own), None)
        commands = [entry.rpartition("/") for entry in found.required_command_interfaces] if found else []
        interfaces = {interface for _, _, interface in commands}
        self._compare(joints or [joint for joint, _, _ in commands], interfaces.pop() if len(interfaces) == 1 else "")

    def _compare(self, joints: Sequence[str], interface: str) -> None:
        """Open the way for commands if the controller's joints and interface are the robot's."""
        error = ""
        if interface and interface != self._robot.interface:
            error = (
                f"the interface of '{self._controller}' is {interface}, but robot.interface is {self._robot.interface}"
            )
        elif sorted(joints) != sorted(self._robot.joints):
            if joints or self._required:
                error = str(JointNameError(self._robot.joints, joints, what=f"joints of {self._controller}"))
            else:  # a node of another kind, whose topic is only called like a controller's
                joints = self._robot.joints
        if error:
            self._node.get_logger().error(f"no command will be published: {error}")
            return
        self._node.get_logger().info(  # first: another process may act on the open way at once
            f"commands go to '{self._controller}' in the order {list(joints)}"
            f"{'' if interface else '; it does not say which interface it commands'}"
        )
        self._open(joints)

    def _open(self, joints: Sequence[str]) -> None:
        self.names = tuple(joints) if list(joints) != list(self._robot.joints) else ()
        self.order = np.array([self._robot.joints.index(joint) for joint in joints])
