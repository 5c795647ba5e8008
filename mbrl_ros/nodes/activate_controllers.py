"""Activate controllers of ros2_control once mpc_node can command them, all of them at once; exit code 0 if they are.

python -m mbrl_ros.nodes.activate_controllers NODE MANAGER CONTROLLER ...

NODE and MANAGER are full names, of mpc_node and of the controller manager; the controllers must have been configured.
mpc_node sends no command before it knows the joints and the interface of the one that executes them (see
forward_controller.py), and a controller of efforts lets an arm fall that nobody commands.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from . import qos
from .diagnostics import COMMANDS_PART, READY

WAKE_PERIOD = 0.2  # [s]
REMINDER = 10.0  # [s] between two messages about what is waited for


def main(arguments: list[str] | None = None) -> int:
    """Wait for mpc_node, then activate the controllers; return the exit code of the process."""
    name, manager, *controllers = sys.argv[1:] if arguments is None else arguments
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("activate_controllers")
    wait_until_commanding(node, name)
    problem = activate(node, manager, controllers)
    if problem:
        node.get_logger().error(f"{', '.join(controllers)} cannot be activated: {problem}")
    else:
        node.get_logger().info(f"active: {', '.join(controllers)}")
    node.destroy_node()
    rclpy.shutdown()
    return int(bool(problem))


def wait_until_commanding(node: Node, name: str) -> None:
    """Wait until the node `name` would answer a state: it is active, and knows the time and who executes commands."""
    ready: list[bool] = []

    def listen(message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == name + COMMANDS_PART:
                ready.extend(pair.value == "True" for pair in status.values if pair.key == READY)

    subscription = node.create_subscription(DiagnosticArray, "/diagnostics", listen, qos.RELIABLE)
    while not any(ready):
        node.get_logger().info(f"waiting until {name} can command", throttle_duration_sec=REMINDER)
        rclpy.spin_once(node, timeout_sec=WAKE_PERIOD)
    node.destroy_subscription(subscription)


def activate(node: Node, manager: str, controllers: Sequence[str]) -> str:
    """Activate all controllers in one cycle of the controller manager; return what went wrong, empty: nothing."""
    kind = importlib.import_module("controller_manager_msgs.srv").SwitchController  # installed with ros2_control
    client = node.create_client(kind, f"{manager}/switch_controller")
    client.wait_for_service()
    request = kind.Request(strictness=kind.Request.STRICT, activate_asap=True)
    request.activate_controllers = list(controllers)
    future = client.call_async(request)  # without a time-out: a paused simulation goes on some time
    rclpy.spin_until_future_complete(node, future)
    answer = future.result()
    return "" if answer is not None and answer.ok else "the controller manager refuses; see its log"


if __name__ == "__main__":
    sys.exit(main())
