r"""Publish the plan's feedback law for linear_feedback_controller, which plays it at its own rate.

Its message Control holds u_0, K and x_d of u = u_0 + K (x_d - x) (runtime/linear_feedback.py): `feedforward` (n x 1),
`feedback_gain` (n x 2n, row after row, columns q then qd), `initial_state.joint_state`. The numbers are taken by their
place, in the order that Pinocchio gives the joints of a URDF: depth first, the joints of one link by their names. The
base is fixed, so base pose and twist are those of a body at rest at the origin, and there are no contacts.

Source of the fields: loco-3d/linear-feedback-controller-msgs; of the law and the order: loco-3d/
linear-feedback-controller.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from ..config.sections.nodes import NodeSettings
from ..controllers.base import Controller
from ..exceptions import ConfigurationError
from ..robots import Robot, urdf
from ..runtime.interfaces import Tick
from ..runtime.linear_feedback import LinearFeedback, law_of, open_loop
from ..safety.state_machine import State
from ..safety.supervisor import Supervisor
from ..types import Array
from . import message_writers, qos
from .tick_observer import TickObserver

FEEDBACK_TOPIC, MESSAGE_PACKAGE = "feedback_commands", "linear_feedback_controller_msgs"


def check_feedback(robot: Robot, settings: NodeSettings) -> None:
    """Raise ConfigurationError where the law cannot be played: no efforts, or something else acts besides it."""
    key = FEEDBACK_TOPIC
    if not settings.feedback_commands:
        return
    if robot.interface != "effort":
        why = f"is for efforts, which linear_feedback_controller commands; robot.interface is '{robot.interface}'"
        raise ConfigurationError(f"'{key}' {why}", key=key, value=True)
    for other in ("player_rate", "guard", "shadow"):
        if value := getattr(settings, other):
            why = "another controller closes the loop from message to message, so that no other command may count"
            raise ConfigurationError(f"'{key}' excludes '{other}' ({value}): {why}", key=key, value=True)


def message_classes() -> tuple[Any, Any]:
    """Return the classes Control and Sensor.

    Raises
    ------
    ConfigurationError
        The package is not installed.
    """
    try:
        module = importlib.import_module(f"{MESSAGE_PACKAGE}.msg")
    except ImportError:
        raise ConfigurationError(
            f"'{FEEDBACK_TOPIC}' needs the package {MESSAGE_PACKAGE}, which is not installed: build it from "
            "https://github.com/loco-3d/linear-feedback-controller-msgs, or set feedback_commands: false",
            key=FEEDBACK_TOPIC,
            value=True,
        ) from None
    return module.Control, module.Sensor


def model_order(robot: Robot) -> NDArray[np.intp]:
    """Return the indices (n,) of the robot's joints in Pinocchio's order."""
    tree = urdf.parse(robot.urdf)
    names: list[str] = []
    open_links = [tree.root]
    while open_links:
        link = open_links.pop()
        if link != tree.root:
            names.append(tree.above[link].name)
        carried = sorted((joint for joint in tree.joints if joint.parent == link), key=lambda joint: joint.name)
        open_links += [joint.child for joint in reversed(carried)]
    return np.array([robot.joints.index(name) for name in names if name in robot.joints], dtype=np.intp)


def to_matrix(values: Array) -> Float64MultiArray:
    """Write a matrix (rows, columns) row after row, with the layout that linear_feedback_controller checks."""
    rows, columns = values.shape
    message = Float64MultiArray(data=values.ravel().tolist())
    message.layout.dim = [
        MultiArrayDimension(label="rows", size=rows, stride=rows * columns),
        MultiArrayDimension(label="cols", size=columns, stride=columns),
    ]
    return message


def to_control(
    kinds: tuple[Any, Any], stamp: float, law: LinearFeedback, joints: tuple[str, ...], order: NDArray[np.intp]
) -> Any:
    """Write `law`, in the order of `joints`, as a Control in the order of the controller's model.

    Parameters
    ----------
    kinds
        the classes Control and Sensor.
    stamp
        of the state that was planned from [s].
    law
        u_0, K and x_d in the order of `joints`.
    joints
        names of the joints.
    order
        indices (n,) of the joints in the order of the message.
    """
    control, sensor = kinds
    columns = np.concatenate((order, len(order) + order))
    state = sensor()
    state.base_pose.orientation.w = 1.0
    names = [joints[i] for i in order]
    state.joint_state = message_writers.to_joint_state(stamp, names, law.q[order], law.qd[order], law.u[order])
    message = control(feedback_gain=to_matrix(law.K[np.ix_(order, columns)]), initial_state=state)
    message.feedforward = to_matrix(law.u[order][:, None])
    message.header.stamp = message.initial_state.header.stamp = state.joint_state.header.stamp
    return message


class FeedbackOutput(TickObserver):
    """Publishes the law of every tick; a safe command leaves at once, with K = 0."""

    def __init__(self, node: LifecycleNode, controller: Controller, supervisor: Supervisor):
        self._node, self._controller, self._supervisor = node, controller, supervisor
        robot = self._robot = controller.robot
        self._kinds, self._order = message_classes(), model_order(robot)
        self._publisher = node.create_publisher(self._kinds[0], FEEDBACK_TOPIC, qos.RELIABLE)
        self._q = np.zeros(robot.n)
        self._last: tuple[float, Array] | None = None

    def begin(self) -> None:
        """Start: the node becomes active."""
        self._last = None

    def after_command(self, stamp: float, u: Array) -> None:
        """Publish u (n,) for the state of `stamp` [s] without feedback, unless it is a plan's: that follows."""
        self._last = stamp, u
        if self._supervisor.state is not State.ACTIVE:
            self._publish(stamp, open_loop(u, self._q))

    def after_tick(self, tick: Tick) -> None:
        """Publish the law of a tick in which the controller's command acts."""
        observation, dynamics = tick.observation, self._controller.dynamics
        self._q = observation.q
        if tick.command.state is State.ACTIVE:
            G = None if dynamics is None else dynamics.features.G
            self._publish(observation.stamp, law_of(tick.decision, tick.command, observation, G))

    def end(self) -> None:
        """Publish the last command without feedback: no other will follow."""
        if self._last is not None:
            self._publish(self._last[0], open_loop(self._last[1], self._q))

    def destroy(self) -> None:
        """Release the publisher."""
        self._node.destroy_publisher(self._publisher)

    def _publish(self, stamp: float, law: LinearFeedback) -> None:
        self._publisher.publish(to_control(self._kinds, stamp, law, self._robot.joints, self._order))
