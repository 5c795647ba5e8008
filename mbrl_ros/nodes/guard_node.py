"""guard_node: stands between mpc_node's commands and the robot's controller, and stops the arm when mpc_node is silent.

A process of its own, so that nothing that stops mpc_node stops it, and small: it loads ROS, numpy and mbrl_ros/guard,
not the controller. What it does is decided in guard/guard.py. The executor's thread takes what comes and forwards
commands (guard_inputs.py); a thread of its own sleeps until a command is missing and sends the safe ones. doc/guard.md
describes topics, services and parameters.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension
from std_srvs.srv import Trigger

from ..guard.command_bytes import GUARD_LABEL
from ..guard.guard import Guard
from ..guard.lockstep import Lockstep
from . import qos
from .child_process import end_with_parent
from .guard_clock import LONGEST_SLEEP, GuardClock
from .guard_inputs import PAUSE, GuardInputs
from .guard_process import declare, raise_priority, run
from .guard_report import GuardReport

LONGEST_STOP, LAST_COMMAND_TIME = 2.0, Duration(seconds=1.0)  # [s] to come to rest, and for the last command to arrive
AFTER_ERROR = 0.005  # [s]


class GuardNode(Node):
    """ROS around guard.Guard: `~/commands_in` to `commands`, `~/parameters_in`, joint_states, services, status."""

    def __init__(self) -> None:
        """Declare the parameters and subscribe."""
        super().__init__("guard_node")
        self.settings = declare(self)
        if self.settings.end_with_parent:
            end_with_parent()
        self._guard_clock = GuardClock(self)
        decode, simulated = lambda raw: deserialize_message(raw, JointState), self._guard_clock.simulated is not None
        self._commands = self.create_publisher(Float64MultiArray, "commands", qos.RELIABLE)
        self._guard = Guard(self.settings, decode, int.from_bytes(os.urandom(4), "big"), simulated=simulated)
        self._guard.handover.readers = self._commands.get_subscription_count
        if self._guard_clock.simulated is not None:
            self._guard.least_timeout = self._guard_clock.simulated.least_timeout
        self._lock, self._ending = threading.Condition(), False
        self._inputs = GuardInputs(
            self,
            self._guard,
            Lockstep(self._guard),
            self._guard_clock,
            self._lock,
            forward=self._commands.publish,
            send=self._publish,
            changed=lambda: self._report.status(),
        )
        self._report = GuardReport(self, self._guard, self._commands, self._guard_clock, self._inputs.now)
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
            self._guard.end(self._inputs.now())
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

    def destroy_node(self) -> None:
        """Release everything."""
        self._guard_clock.destroy()
        super().destroy_node()

    # --- the thread that notices what does not come -------------------------------------------------------------------

    def _watch(self) -> None:
        """Send the safe command whenever it is due."""
        mode = self._guard.mode
        while not self._ending:
            try:
                with self._lock:
                    # in lockstep a state wakes the guard, and no clock
                    left = LONGEST_SLEEP if self._guard.lockstep else self._guard_clock.sleep_until(self._guard.due())
                    if left > 0.0:
                        self._lock.wait(left)
                        continue
                    u = self._guard.act(self._inputs.now())
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
        message.layout.dim = [MultiArrayDimension(label=GUARD_LABEL, size=u.size, stride=u.size)]
        self._commands.publish(message)

    def _service(self, name: str):
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            with self._lock:
                response.success, response.message = self._guard.request(name, self._inputs.now())
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
