"""guard_node: stands between mpc_node's commands and the robot's controller, and stops the arm when mpc_node is silent.

A process of its own, so that nothing that stops mpc_node stops it, and small: it loads ROS, numpy and mbrl_ros/guard,
not the controller. What it does is decided in guard/guard.py. The executor's thread takes what comes and forwards
commands; a thread of its own sleeps until a command is missing and sends the safe ones. doc/guard.md describes topics,
services and parameters.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from std_srvs.srv import Trigger

from ..guard.command_bytes import read_command
from ..guard.guard import Guard
from ..guard.messages import GuardMessageError, read_parameters
from . import qos
from .child_process import end_with_parent
from .guard_process import declare, raise_priority, run
from .guard_report import GuardReport

NEWEST_ONLY = QoSProfile(depth=1)  # what mpc_node sends: an old command must not go out
LONGEST_SLEEP = 1.0  # [s]
LONGEST_STOP, LAST_COMMAND_TIME = 2.0, Duration(seconds=1.0)  # [s] to come to rest, and for the last command to arrive
LARGEST_PARAMETERS = 262144  # [bytes]
AFTER_ERROR = 0.005  # [s]
PAUSE = 5.0  # [s] between two warnings of one kind


class GuardNode(Node):
    """ROS around guard.Guard: `~/commands_in` to `commands`, `~/parameters_in`, joint_states, services, status."""

    def __init__(self) -> None:
        """Declare the parameters and subscribe."""
        super().__init__("guard_node")
        self.settings = declare(self)
        if self.settings.end_with_parent:
            end_with_parent()
        first = int.from_bytes(os.urandom(4), "big")
        self._guard = Guard(self.settings, lambda raw: deserialize_message(raw, JointState), first)
        self._lock, self._ending = threading.Condition(), False
        self._commands = self.create_publisher(Float64MultiArray, "commands", qos.RELIABLE)
        self._report = GuardReport(self, self._guard, self._commands)
        self.create_subscription(JointState, "joint_states", self._on_state, qos.NEWEST, raw=True)
        self.create_subscription(Float64MultiArray, "~/parameters_in", self._on_parameters, NEWEST_ONLY, raw=True)
        self.create_subscription(Float64MultiArray, "~/commands_in", self._on_command, NEWEST_ONLY, raw=True)
        for name in ("e_stop", "hold", "resume", "clear"):
            self.create_service(Trigger, f"~/{name}", self._service(name))
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)

    def begin(self) -> None:
        """Begin to watch; called with the callbacks running."""
        raise_priority(self, self.settings.priority)
        self._thread.start()

    def end(self) -> None:
        """Bring the arm to rest, then end: the last command stays in effect."""
        deadline = time.monotonic() + LONGEST_STOP
        with self._lock:
            self._guard.end(time.monotonic())
            self._lock.notify_all()
            while self._thread.is_alive() and not self._guard.at_rest and time.monotonic() < deadline:
                self._lock.wait(deadline - time.monotonic())
            self._ending, u = True, self._guard.carrying
            self._lock.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        if u is not None:
            self._publish(u)
            self._commands.wait_for_all_acked(LAST_COMMAND_TIME)

    # --- the thread that notices what does not come -------------------------------------------------------------------

    def _watch(self) -> None:
        """Send the safe command whenever it is due."""
        mode = self._guard.mode
        while not self._ending:
            try:
                with self._lock:
                    left = self._guard.due() - time.monotonic()
                    if left > 0.0:
                        self._lock.wait(min(left, LONGEST_SLEEP))
                        continue
                    u = self._guard.act(time.monotonic())
                    if u is not None:
                        self._publish(u)
                        self._lock.notify_all()
                    mode, before = self._guard.mode, mode
                if mode is not before:
                    self._report.status()
            except Exception as error:  # a mistake must not leave the arm without the next command
                self.get_logger().error(f"the safe command failed: {error!r}", throttle_duration_sec=PAUSE)
                time.sleep(AFTER_ERROR)

    def _publish(self, u) -> None:
        message = Float64MultiArray(data=u.tolist())
        message.layout.dim = [MultiArrayDimension(label="guard", size=u.size, stride=u.size)]
        self._commands.publish(message)

    # --- callbacks ----------------------------------------------------------------------------------------------------

    def _on_command(self, raw: bytes) -> None:
        now = time.monotonic()
        if len(raw) > self.settings.largest_message:
            self._guard.refused["too long"] += 1
            return
        read = read_command(raw)
        if read is None:  # in another encoding
            message = deserialize_message(raw, Float64MultiArray)
            read = message.layout.dim[0].label if message.layout.dim else "", message.data
        label, u = read
        with self._lock:
            before = self._guard.mode
            if self._guard.take_command(u, label, now):
                self._commands.publish(raw)
            changed = self._guard.mode is not before
            if changed:
                self._lock.notify_all()
        if changed:
            self._report.status()

    def _on_parameters(self, raw: bytes) -> None:
        try:
            if len(raw) > LARGEST_PARAMETERS:
                raise GuardMessageError(f"{len(raw)} bytes are too long")
            parameters = read_parameters(deserialize_message(raw, Float64MultiArray))
        except GuardMessageError as error:
            self._guard.refused["bad parameters"] += 1
            self.get_logger().warning(f"parameters refused: {error}", throttle_duration_sec=PAUSE)
            return
        with self._lock:
            problem = self._guard.take_parameters(parameters, time.monotonic())
        if problem:
            self.get_logger().warning(f"{parameters.source!r}: refused: {problem}", throttle_duration_sec=PAUSE)

    def _on_state(self, raw: bytes) -> None:
        if len(raw) <= self.settings.largest_message:
            self._guard.states.put(raw, time.monotonic())
        else:
            self._guard.states.refused["too long"] += 1

    def _service(self, name: str):
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            with self._lock:
                response.success, response.message = self._guard.request(name, time.monotonic())
                self._lock.notify_all()
            self.get_logger().info(f"~/{name}: {response.message}")
            self._report.status()
            return response

        return answer


def main(arguments: list[str] | None = None) -> int:
    """Run the node; return the exit code of the process."""
    return run(GuardNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
