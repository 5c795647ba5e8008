"""What is done with the answer of a service, without an exception that leaves the callback.

An exception that leaves the callback of a future in an EventsExecutor ends the process with a segmentation fault
(rclpy 7.1), whereas one that leaves the callback of a message or a timer is only reported.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.task import Future


def when_answered(node: Node, future: Future, use: Callable[[Any], None]) -> None:
    """Call `use(answer)` once a service has answered; an error there, or of the service, is logged."""

    def done(answered: Future) -> None:
        try:
            use(answered.result())
        except Exception:  # see above
            node.get_logger().error(f"an answer cannot be used:\n{traceback.format_exc()}")

    future.add_done_callback(done)
