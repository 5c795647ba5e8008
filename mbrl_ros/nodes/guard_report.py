"""What guard_node says of itself: its status, latched; diagnostics once a second; who else publishes commands."""

from __future__ import annotations

import threading
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from ..guard.guard import Guard
from ..guard.messages import Mode, write_status
from . import qos
from .command_readers import full_name
from .guard_clock import GuardClock
from .wall_timer import create_wall_timer

STATUS_PERIOD, REPORT_DIAGNOSTICS_PERIOD = 0.05, 1.0  # [s]
SKIPPED = 4  # periods of the status without one while nothing happens but forwarding
SHOWN = 5  # names of other publishers
MODE_LEVELS = {
    Mode.WAITING: DiagnosticStatus.WARN,
    Mode.FORWARDING: DiagnosticStatus.OK,
    Mode.ACTING: DiagnosticStatus.ERROR,
    Mode.HOLD: DiagnosticStatus.WARN,
    Mode.E_STOP: DiagnosticStatus.ERROR,
}


class GuardReport:
    """Publishes `~/guard_status` and /diagnostics of `guard`, and watches who publishes on the topic of `commands`.

    now() returns the guard's time [s]; `clock` knows whether it stands still.
    """

    def __init__(self, node: Node, guard: Guard, commands: Publisher, clock: GuardClock, now: Callable[[], float]):
        """Begin to report."""
        self._clock, self._now = clock, now
        self._node, self._guard, self._topic = node, guard, commands.topic_name
        self._parameters_topic = f"{node.get_fully_qualified_name()}/parameters_in"
        self._status = node.create_publisher(Float64MultiArray, "~/guard_status", qos.LATCHED)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self._lock, self._mode, self._skip, self._others = threading.Lock(), Mode.WAITING, 0, ""
        self._seen: set[str] = set()  # who else published at the last look
        create_wall_timer(node, STATUS_PERIOD, self._on_time)
        create_wall_timer(node, REPORT_DIAGNOSTICS_PERIOD, self._diagnose)

    def status(self) -> None:
        """Publish the status and log a change of the state; from any thread."""
        with self._lock:
            status = self._guard.status(self._now())
            self._status.publish(write_status(status, Float64MultiArray(), MultiArrayDimension))
            before, self._mode, self._skip = self._mode, Mode(status.state), SKIPPED
            if self._mode is before:
                return
            text = f"{before.name} -> {status.mode}: {status.cause}"
            if self._mode in (Mode.ACTING, Mode.E_STOP):
                self._node.get_logger().warning(text)
            else:
                self._node.get_logger().info(text)

    def _on_time(self) -> None:
        if self._guard.was_paused(self._now()):
            return  # not known yet whether it goes on forwarding
        if self._mode is self._guard.mode is Mode.FORWARDING and self._skip > 0:
            self._skip -= 1
        else:
            self.status()

    def _diagnose(self) -> None:
        self._look_for_others()
        guard, states, told = self._guard, self._guard.states, self._guard.parameters
        level, text = MODE_LEVELS[guard.mode], f"{guard.mode.name.lower()}: {guard.handover.waits_for or guard.cause}"
        if not guard.lockstep and self._clock.problem:
            level, text = DiagnosticStatus.WARN, f"{text}; {self._clock.problem}"
        if self._others:
            level, text = DiagnosticStatus.ERROR, f"others publish on {self._topic}: {self._others}"
        values = {**guard.counts, **{f"refused: {reason}": count for reason, count in guard.refused.items()}}
        values |= {f"joint states refused: {reason}": count for reason, count in states.refused.items()}
        status = DiagnosticStatus(
            name=f"{self._node.get_fully_qualified_name()}: guard",
            level=level,
            message=text,
            hardware_id="" if told is None else told.robot,
            values=[KeyValue(key=key, value=str(value)) for key, value in sorted(values.items())],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _look_for_others(self) -> None:
        """Name whoever else publishes commands: mpc_node may, for the case that the guard ends."""
        if self._node.count_publishers(self._topic) < 2:
            self._others, self._seen = "", set()
            return
        known = {self._node.get_fully_qualified_name(), *self._publishers_of(self._parameters_topic)}
        before, self._seen = self._seen, self._publishers_of(self._topic) - known
        # twice in a row: of a node that starts, one topic is discovered after the other
        others = ", ".join(sorted(before & self._seen)[:SHOWN])
        if others and others != self._others:
            self._node.get_logger().error(f"others publish on {self._topic}, beside this node: {others}")
        self._others = others

    def _publishers_of(self, topic: str) -> set[str]:
        """Return the full names of the nodes that publish on `topic`."""
        return {full_name(info) for info in self._node.get_publishers_info_by_topic(topic)}
