"""What guard_node subscribes to: commands and parameters of mpc_node, joint states. No callback raises an exception."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from ..guard.command_bytes import read_command, read_stamp
from ..guard.guard import Guard
from ..guard.lockstep import Lockstep
from ..guard.messages import GuardMessageError, Mode, Time, read_parameters
from ..guard.own_pause import DUE_ROUNDING
from . import qos
from .guard_clock import GuardClock

# What mpc_node sends: an old command must not go out, and a new one must not wait until the writer of one that was lost
# has said that it is gone, as it does for a reliable reader. In lockstep the robot sends its state again.
NEWEST_ONLY = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LARGEST_PARAMETERS = 262144  # [bytes]
PAUSE = 5.0  # [s] between two warnings of one kind


class GuardInputs:
    """The subscriptions of `node`, from construction on.

    Parameters
    ----------
    node
        guard_node.
    guard, steps, clock
        what is told of a message, by its time; `steps` in lockstep.
    lock
        held while `guard` is used; notified when the safe command may be due.
    forward
        sends a command of mpc_node as it came.
    send
        sends a command of the guard (n,).
    changed
        is called when the guard's mode has changed.
    """

    def __init__(
        self,
        node: Node,
        guard: Guard,
        steps: Lockstep,
        clock: GuardClock,
        lock: threading.Condition,
        *,
        forward: Callable[[bytes], None],
        send: Callable[[Any], None],
        changed: Callable[[], None],
    ):
        self._node, self._guard, self._steps, self._clock, self._lock = node, guard, steps, clock, lock
        self._forward, self._send, self._changed = forward, send, changed
        self._largest = guard.settings.largest_message
        # the newest command while the guard was WAITING, and when it came: it may have overtaken the parameters
        self._early: tuple[bytes, float] | None = None
        subscribe = node.create_subscription
        subscribe(JointState, "joint_states", self._on_state, qos.STATES_IN_PARTS, raw=True)
        subscribe(Float64MultiArray, "~/parameters_in", self._on_parameters, NEWEST_ONLY, raw=True)
        subscribe(Float64MultiArray, "~/commands_in", self._on_command, NEWEST_ONLY, raw=True)

    def now(self) -> float:
        """Return the guard's time [s]."""
        return self._steps.now if self._guard.lockstep else self._clock.now()

    def _on_command(self, raw: bytes) -> None:
        guard = self._guard
        if len(raw) > self._largest:
            guard.refused["too long"] += 1
            return
        read = read_command(raw)
        if read is None:  # in another encoding
            message = deserialize_message(raw, Float64MultiArray)
            read = message.layout.dim[0].label if message.layout.dim else "", message.data
        label, u = read
        with self._lock:
            before, own = guard.mode, None
            now = self.now()  # only here: what was read before a pause of this process is no time to judge it by
            if guard.lockstep:
                good, own = self._steps.take_command(u, label)
            else:
                good = guard.take_command(u, label, now)
            if good:
                self._forward(raw)
            elif own is not None:
                self._send(own)
            self._early = (raw, now) if guard.mode is Mode.WAITING else None
            changed = self._notice(before)
        if changed:
            self._changed()

    def _on_parameters(self, raw: bytes) -> None:
        logger, guard = self._node.get_logger(), self._guard
        try:
            if len(raw) > LARGEST_PARAMETERS:
                raise GuardMessageError(f"{len(raw)} bytes are too long")
            parameters = read_parameters(deserialize_message(raw, Float64MultiArray))
        except GuardMessageError as error:
            guard.refused["bad parameters"] += 1
            logger.warning(f"parameters refused: {error}", throttle_duration_sec=PAUSE)
            return
        self._takes()
        with self._lock:
            before, steps = guard.mode, parameters.time is Time.LOCKSTEP
            problem = guard.take_parameters(parameters, self._steps.now if steps else self._clock.now())
            early, self._early = self._early, None
            changed = self._notice(before)
        if problem:
            logger.warning(f"{parameters.source!r}: refused: {problem}", throttle_duration_sec=PAUSE)
        elif early is not None and (steps or self.now() - early[1] <= guard.timeout):
            self._on_command(early[0])
        if changed:
            self._changed()

    def _on_state(self, raw: bytes) -> None:
        states, simulated = self._guard.states, self._clock.simulated
        if len(raw) > self._largest:
            states.refused["too long"] += 1
        elif self._guard.lockstep:
            self._on_step(raw)
        else:
            stamp = None if simulated is None else read_stamp(raw)
            if simulated is not None and stamp is not None:
                simulated.add_state(stamp)
            now = self._clock.now()
            states.put(raw, now)
            self._takes()
            if simulated is not None and now >= self._guard.due() - DUE_ROUNDING:
                with self._lock:  # the thread that watches sleeps by the wall clock
                    self._lock.notify_all()

    def _on_step(self, raw: bytes) -> None:
        """Answer a state in lockstep, where it is the guard's turn."""
        stamp, guard = read_stamp(raw), self._guard
        with self._lock:
            if stamp is None:
                return
            if not guard.states.completes(raw):
                guard.states.put(raw, self._steps.now)
                return
            before, own = guard.mode, self._steps.take_state(raw, stamp)
            if own is not None:
                self._send(own)
            changed = self._notice(before)
        if changed:
            self._changed()

    def _takes(self) -> None:
        """Tell a guard that listens after a pause of its own that messages are taken."""
        if self._guard.pause.listening:
            with self._lock:
                self._guard.pause.takes(self.now())
                self._lock.notify_all()

    def _notice(self, before: Mode) -> bool:
        """Return whether the guard's mode has changed, and tell whoever waits for that."""
        changed = self._guard.mode is not before
        if changed or self._guard.lockstep:
            self._lock.notify_all()
        return changed
