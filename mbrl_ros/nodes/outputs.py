"""What mpc_node publishes of a tick: the command first, then its status; observers do the rest."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray, String, UInt8

from ..config.sections.nodes import NodeSettings
from ..controllers.base import Controller
from ..robots import Robot
from ..runtime.event_log import Event
from ..runtime.interfaces import Tick
from ..safety.state_machine import Reason, State
from ..safety.supervisor import Supervisor
from ..types import Array
from . import qos, status
from .command_publisher import CommandPublisher
from .feedback_output import FeedbackOutput
from .reporter import Reporter
from .tick_observer import TickObserver


class NodeOutputs:
    """The `Outputs` of mpc_node's control loop; further jobs after a tick are added as observers."""

    def __init__(
        self,
        node: LifecycleNode,
        robot: Robot,
        controller: Controller,
        supervisor: Supervisor,
        settings: NodeSettings,
        *,
        rejected: Callable[[], int],
        reporter: Reporter,
    ):
        """Create the publishers; rejected() is the number of rejected inputs."""
        self._node, self._controller, self._supervisor = node, controller, supervisor
        self._rejected, self._reporter = rejected, reporter
        self._commands = CommandPublisher(node, robot, settings)
        self._heartbeat = node.create_publisher(UInt8, "~/heartbeat", qos.HEARTBEAT)
        self._status = node.create_publisher(Float64MultiArray, "~/status", qos.STATUS)
        self._state_text = node.create_publisher(String, "~/supervisor_state", qos.LATCHED)
        self._event_log = node.create_publisher(String, "~/event_log", qos.HISTORY)
        self._observers: list[TickObserver] = []
        self._feedback: FeedbackOutput | None = None
        if settings.feedback_commands:
            self._feedback = FeedbackOutput(node, controller, supervisor)
            self.add(self._feedback)
        self._next_heartbeat, self._state = -np.inf, State.HOLD

    @property
    def commands(self) -> CommandPublisher:
        """Return the publisher of commands."""
        return self._commands

    def add(self, observer: TickObserver) -> None:
        """Let `observer` do its job after every tick, after those added before it."""
        self._observers.append(observer)

    def begin(self) -> None:
        """Start: the node becomes active."""
        self._next_heartbeat, self._state = -np.inf, State.HOLD
        for observer in self._observers:
            observer.begin()

    def end(self, timeout: Duration) -> None:
        """Wait until the subscribers have the last command, at most `timeout`, then end the observers."""
        self._commands.wait_until_sent(timeout)
        for observer in self._observers:
            observer.end()

    def destroy(self) -> None:
        """Release the publishers and the observers."""
        for observer in self._observers:
            observer.destroy()
        self._commands.destroy()
        for publisher in (self._heartbeat, self._status, self._state_text, self._event_log):
            self._node.destroy_publisher(publisher)

    # --- from the control thread ----------------------------------------------------------------------------------

    def command(self, stamp: float, u: Array) -> None:
        """Publish the command u (n,) for the state of `stamp` [s]."""
        self._commands.publish(stamp, u)
        if self._feedback is not None:
            self._feedback.after_command(stamp, u)

    def tick(self, tick: Tick) -> None:
        """Publish what is known of a tick whose command has left."""
        state = tick.command.state
        self._status.publish(status.to_status(status.status_values(tick, self._controller, self._rejected())))
        now = time.perf_counter()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + qos.HEARTBEAT_PERIOD
            self._heartbeat.publish(UInt8(data=int(state)))
        if state is not self._state:
            self._report_transition(state)
        for observer in self._observers:
            observer.after_tick(tick)

    def event(self, event: Event) -> None:
        """Publish an entry of the event log."""
        self._event_log.publish(String(data=event.to_json()))

    def log(self, level: str, text: str) -> None:
        """Log `text` at `level`: "info", "warning" or "error"."""
        self._reporter.log(level, text)

    def _report_transition(self, state: State) -> None:
        before, self._state = self._state, state
        cause = self._supervisor.cause
        reason = cause.name if cause else "nothing wrong"
        self._state_text.publish(String(data=f"{state.value} {state.name}: {reason}"))
        if cause & (Reason.LATE | Reason.TOO_LATE):
            reason = f"{reason}: this machine answers late"
        bad = state in (State.DEGRADED, State.FAULT, State.E_STOP)
        self._reporter.log("warning" if bad else "info", f"supervisor: {before.name} -> {state.name} ({reason})")
