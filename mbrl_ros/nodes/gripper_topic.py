"""A gripper beside the arm: ~/gripper in, gripper_commands out.

A command goes on at once, in the executor's thread: it is no part of the plan. The arm's model learns what the gripper
holds as it learns every load.
"""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray

from ..exceptions import DataError
from ..messages.gripper import GripperReader
from ..messages.message_size import PER_JOINT, too_large
from ..runtime.control_loop import ControlLoop
from ..safety.state_machine import State
from . import bounded, qos
from .diagnostics import part_status
from .reporter import Reporter
from .tick_observer import TickObserver

GRIPPER_TOPIC, GRIPPER_COMMANDS = "gripper", "gripper_commands"
STOPPED = (State.FAULT, State.E_STOP)  # in which a gripper stays as it is: what it holds must not fall


class GripperTopic(TickObserver):
    """Passes commands on while the node is active, without a fault."""

    def __init__(self, node: LifecycleNode, loop: ControlLoop, reader: GripperReader, reporter: Reporter, largest: int):
        self._node, self._loop, self._reader, self._reporter = node, loop, reader, reporter
        self._largest = largest + PER_JOINT * len(reader.names)
        self._publisher = node.create_publisher(Float64MultiArray, GRIPPER_COMMANDS, qos.RELIABLE)
        self._subscription = bounded.subscribe(
            node,
            Float64MultiArray,
            f"~/{GRIPPER_TOPIC}",
            self._on_command,
            qos.TARGET_QOS,
            self._largest,
            lambda raw: self._refuse(too_large(GRIPPER_TOPIC, len(raw), self._largest)),
        )

    def diagnosis(self, name: str) -> DiagnosticStatus:
        """Return the gripper's part of the diagnostics of the node `name`."""
        reader = self._reader
        last = "none" if reader.last is None else ", ".join(f"{value:.4f}" for value in reader.last)
        level = DiagnosticStatus.WARN if reader.refused else DiagnosticStatus.OK
        values = {
            "joints": ", ".join(reader.names),
            "last command [rad or m]": last,
            "commands passed on": reader.passed,
            "of which were outside of the limits": reader.limited,
            "commands refused": reader.refused,
        }
        text = f"{reader.refused} commands refused" if reader.refused else f"{reader.passed} commands passed on"
        return part_status(f"{name}: gripper", level, text, list(values.items()))

    def _on_command(self, message: Float64MultiArray) -> None:
        try:
            if not self._loop.running:
                raise DataError("the node is not active")
            if self._loop.supervisor.state in STOPPED:
                raise DataError(f"the state is {self._loop.supervisor.state.name}: the gripper stays as it is")
            positions = self._reader.read(message.data)
        except DataError as error:
            self._refuse(str(error))
            return
        self._publisher.publish(Float64MultiArray(data=positions.tolist()))

    def _refuse(self, why: str) -> None:
        self._reader.refused += 1
        self._reporter.report(f"~/{GRIPPER_TOPIC} refused: {why}", False)

    def destroy(self) -> None:
        """Release topics."""
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)
