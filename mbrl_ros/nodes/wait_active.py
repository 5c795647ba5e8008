"""Wait until a lifecycle node is active: `python -m mbrl_ros.nodes.wait_active NODE`, exit code 0 once it is.

It asks for the state: an announced transition is missed by whoever discovers the node too late.
"""

from __future__ import annotations

import sys

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.signals import SignalHandlerOptions

QUESTION_PERIOD = 0.2  # [s]


def main(arguments: list[str] | None = None) -> int:
    """Ask the node for its state until that is active; return the exit code of the process."""
    (name,) = sys.argv[1:] if arguments is None else arguments
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("wait_active")
    client = node.create_client(GetState, f"{name}/get_state")
    state = State.PRIMARY_STATE_UNKNOWN
    while state != State.PRIMARY_STATE_ACTIVE:
        if client.wait_for_service(timeout_sec=QUESTION_PERIOD):
            future = client.call_async(GetState.Request())
            rclpy.spin_until_future_complete(node, future, timeout_sec=10.0 * QUESTION_PERIOD)
            if future.done() and (answer := future.result()) is not None:
                state = answer.current_state.id
        rclpy.spin_once(node, timeout_sec=QUESTION_PERIOD)
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
