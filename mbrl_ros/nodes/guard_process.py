"""guard_node as a process: what nodes/process.py does for the other nodes, without their configuration.

The guard must start within a moment and load nothing of the controller. Exit codes as there: 0 ended as requested, 2
it could not start.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import rclpy
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import ok, try_shutdown

from ..guard.settings import BOUNDS, GuardSettings

LOOK_UP_PERIOD = 0.5  # [s] after which the main thread looks whether a signal has come by another way
TRANSPORTS = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def run(make_node: Callable[[], Any], arguments: list[str] | None = None) -> int:
    """Make a node with begin() and end(), run it until SIGINT or SIGTERM, and end it; return the exit code."""
    if not any(name in os.environ for name in TRANSPORTS):  # shared memory: a process that is killed holds its lock
        os.environ[TRANSPORTS[0]] = "UDPv4"
    read, write = os.pipe()
    os.set_blocking(write, False)
    signalled: list[int] = []  # by the handlers: the byte in the pipe is only faster
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signalled.append(number))
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = make_node()
    except Exception as error:  # a wrong parameter or file: one line, not a traceback
        print(f"guard_node: {' '.join(str(error).split())}", file=sys.stderr)
        try_shutdown()
        return 2
    ended: Future = Future()
    executor = _make_executor()
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor, ended), name="executor", daemon=True)
    thread.start()
    node.begin()
    while not signalled and not select.select([read], [], [], LOOK_UP_PERIOD)[0]:
        pass
    node.end()
    ended.set_result(None)
    executor.wake()
    thread.join()
    executor.shutdown()
    node.destroy_node()
    try_shutdown()
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


def _make_executor() -> Any:
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        from rclpy.executors import SingleThreadedExecutor

        return SingleThreadedExecutor()
    return EventsExecutor()


def _spin(executor: Any, ended: Future) -> None:
    while not ended.done() and ok():
        try:  # spin() without a future keeps a core busy in rclpy 7.1
            executor.spin_until_future_complete(ended, timeout_sec=1.0)
        except Exception:  # an error in one callback must not leave a moving robot without the others
            traceback.print_exc()
