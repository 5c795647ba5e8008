"""guard_node as a process: what nodes/process.py does for the other nodes, without their configuration.

The guard must start within a moment and load nothing of the controller. Exit codes as there: 0 ended as requested, 2
it could not start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from ..guard.settings import BOUNDS, GuardSettings
from .executor import EndRequest, Spinner
from .transport import prefer_udp


def run(make_node: Callable[[], Any], arguments: list[str] | None = None) -> int:
    """Make a node with begin() and end(), run it until SIGINT or SIGTERM, and end it; return the exit code."""
    end = EndRequest()
    end.on_signals()
    try:
        prefer_udp()
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
    except Exception as error:  # a wrong parameter or file: one line, not a traceback
        print(f"guard_node: {' '.join(str(error).split())}", file=sys.stderr)
        try_shutdown()
        return 2
    spinner = Spinner(node)
    node.begin()
    end.wait()
    node.end()
    spinner.stop()
    node.destroy_node()
    try_shutdown()
    end.close()
    return 0


def declare(node: Node) -> GuardSettings:
    """Declare the parameters of GuardSettings and return their values; ValueError names a wrong one."""
    values = {}
    for field in fields(GuardSettings):
        bounds, kind = BOUNDS[field.name], type(field.default)
        descriptor = ParameterDescriptor(
            read_only=True,
            dynamic_typing=True,  # GuardSettings judges, and takes a whole number for a real one
            description=f"{bounds.text} [{bounds.unit}]" if bounds.unit else bounds.text,
        )
        if kind is float:
            descriptor.floating_point_range = [FloatingPointRange(from_value=bounds.low, to_value=bounds.high)]
        elif kind is int:
            descriptor.integer_range = [IntegerRange(from_value=int(bounds.low), to_value=int(bounds.high))]
        values[field.name] = node.declare_parameter(field.name, field.default, descriptor).value
    return GuardSettings(**values)


def raise_priority(node: Node, priority: int) -> None:
    """Give every thread of this process the SCHED_FIFO `priority`; 0: leave them."""
    if not priority:
        return
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError) as error:
        node.get_logger().warning(f"no real-time priority ({error}); raise 'rtprio' in /etc/security/limits.conf")
