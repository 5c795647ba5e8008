"""Timers by the processor's clock: what they do goes on while /clock stands still."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def create_wall_timer(node: Node, period: float, callback: Callable[[], None]) -> Timer:
    """Call `callback` every `period` [s] by a clock that neither leaps nor stands."""
    return node.create_timer(period, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
