"""What mpc_node subscribes to: states and features for the control loop's mailbox, targets for the controller.

All callbacks run in the executor's thread; none raises an exception because of a message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64MultiArray

from ..config.configuration import Configuration
from ..messages import readers
from ..messages.input_gate import InputGate, Rejection
from ..messages.message_size import largest_sizes, too_large
from ..runtime.control_loop import ControlLoop
from ..runtime.mailbox import Arrival
from ..safety.state_machine import Request
from . import bounded, qos
from .command_readers import full_name
from .input_clock import InputClock
from .reporter import Reporter
from .target_inputs import TargetInputs
from .target_outcomes import TargetOutcomes
from .uncontrolled_watch import UncontrolledWatch


class InputGates(NamedTuple):
    """The gates that accept or reject every message of the two input streams by its stamp."""

    states: InputGate
    features: InputGate

    @classmethod
    def of(cls, configuration: Configuration, *, lockstep: bool) -> InputGates:
        """Make the gates; in lockstep only the order of the stamps counts."""
        control = configuration.control
        clock = "stamps" if lockstep else control.stamp_clock
        return cls(
            InputGate("joint_states", timeout=control.state_timeout, clock=clock),
            InputGate("features", timeout=configuration.features.timeout, clock=clock),
        )

    def rejected(self) -> int:
        """Return the number of rejected messages."""
        return sum(sum(gate.rejected.values()) for gate in self)


class Subscriptions:
    """The subscriptions of a control loop and its controller, from construction until close()."""

    def __init__(
        self,
        node: Node,
        loop: ControlLoop,
        configuration: Configuration,
        gates: InputGates,
        outcomes: TargetOutcomes,
        reporter: Reporter,
        *,
        clock: InputClock,
        lockstep: bool,
        largest_message: int,
    ):
        """Subscribe: from now on `loop` gets states."""
        self._node, self._loop, self._reporter, self._lockstep = node, loop, reporter, lockstep
        self._robot = loop.controller.robot
        control = configuration.control
        self._states, self._clock = gates.states, clock
        self._joint_reader = readers.JointStateReader(
            self._robot, gates.states, missing_velocity=control.missing_velocity, cutoff=control.velocity_cutoff
        )
        watched = bool(self._robot.uncontrolled)
        self._uncontrolled = UncontrolledWatch(node, loop, self._joint_reader) if watched else None
        self._feature_reader = readers.FeatureReader(configuration.features.points, gates.features)
        self._feature_latency = control.feature_latency
        self._newest = (0.0, 0.0)  # stamp of the newest state, and when it arrived by perf_counter
        self._arrival: Arrival | None = None  # the newest state
        # a simulated robot may send its first state when it executes commands already
        self._always = lockstep or clock.simulated is not None
        self._withheld = False  # the newest state
        self._warned_estimating = self._disputed = self._clock_silent = False
        self._sizes = largest_sizes(self._robot.n, configuration.features.points, largest_message)
        self._targets = TargetInputs(node, loop, outcomes, self._sizes, lockstep=lockstep)
        stream = qos.EVERY if lockstep else qos.NEWEST
        refuse = self._refusing("features", gates.features)
        self._on_feature_bytes = bounded.reading(PointCloud2, self._sizes["features"], self._on_features, refuse)
        self._feature_subscription = node.create_subscription(
            PointCloud2, "features", self._on_feature_bytes, stream, raw=True
        )
        self._state_subscription = self._subscribe(JointState, "joint_states", self._on_joint_states, gates.states)
        self._subscriptions = [
            self._feature_subscription,
            self._subscribe(Float64MultiArray, "features_vector", self._on_feature_vector, gates.features),
            self._state_subscription,
        ]

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None], gate: InputGate) -> Subscription:
        """Subscribe to an input stream, whose messages `gate` counts if they are too large."""
        profile, largest = qos.EVERY if self._lockstep else qos.NEWEST, self._sizes[topic]
        return bounded.subscribe(self._node, kind, topic, callback, profile, largest, self._refusing(topic, gate))

    def close(self) -> None:
        """Release the subscriptions, and finish the targets that wait."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._targets.close()

    def _refusing(self, topic: str, gate: InputGate) -> Callable[[bytes], None]:
        """Return what counts a message that is too large."""

        def refuse(raw: bytes) -> None:
            gate.reject(Rejection.TOO_LARGE, too_large(topic, len(raw), self._sizes[topic]))

        return refuse

    # --- states and features --------------------------------------------------------------------------------------

    def _on_joint_states(self, message: JointState) -> None:
        received = time.perf_counter()
        if self._lockstep:
            self._drain_features()
        if not self._clock.started and not self._lockstep:
            self._states.reject(Rejection.NO_CLOCK, "joint_states: use_sim_time is true, and /clock has not come")
            return
        reading = self._joint_reader.read(message, self._clock.at(readers.seconds(message.header.stamp)))
        if self._uncontrolled is not None:
            self._uncontrolled.after_message(None if reading is None else reading.observation.stamp)
        if reading is not None:
            observation, effort, restarted = reading
            self._watch_clock()
            restarted = self._clock.add_state(observation.stamp, restarted)
            self._newest = (observation.stamp, received)
            self._targets.add_state(observation, restarted=restarted)
            self._offer(Arrival(observation, received, effort, restarted, clocked=self._loop.clock.now()))
        elif self._joint_reader.repeated and self._arrival is not None:
            if self._withheld:
                self._clock.add_state(self._arrival.observation.stamp, False)
                self._offer(replace(self._arrival, received=received, clocked=self._loop.clock.now()))
            else:
                self._loop.mailbox.put_repeated(self._arrival)
        if self._joint_reader.second_publisher != self._disputed:
            self._disputed = self._joint_reader.second_publisher
            if self._disputed:
                self._hold_for_second_publisher()
        if self._joint_reader.estimating and not self._warned_estimating:
            self._warned_estimating = True
            self._node.get_logger().warning(
                "joint_states hold no velocities; they are estimated from the positions "
                "(control.missing_velocity, control.velocity_cutoff)"
            )

    def _watch_clock(self) -> None:
        """Say that /clock has ended though states go on, and that it is back."""
        if self._clock.silent != self._clock_silent:
            self._clock_silent = self._clock.silent
            if self._clock_silent:
                self._node.get_logger().warning("no message on /clock: time goes on by the stamps of the joint states")
            else:
                self._node.get_logger().info("/clock is back")

    def _offer(self, arrival: Arrival) -> None:
        """Let a state be answered, unless it is one of a real robot of which nobody knows yet whose states come."""
        self._arrival, self._withheld = arrival, not (self._always or self._joint_reader.trusted)
        if self._withheld:
            self._loop.statistics.events["states not answered: not known whose they are"] += 1
        else:
            self._loop.mailbox.put(arrival)

    def _hold_for_second_publisher(self) -> None:
        """Let the arm hold, and say who publishes joint states."""
        begun = not self._withheld
        if self._loop.running and begun:
            self._loop.request(Request.HOLD)
        topic = self._state_subscription.topic_name
        publishers = self._node.get_publishers_info_by_topic(topic)
        listed = ", ".join(sorted(map(full_name, publishers))) or "none that is known"
        what, then = ("the arm holds", ", then call ~/resume") if begun else ("no command leaves", "")
        self._reporter.report(
            f"{what}: two publishers send different states of the same joints on {topic}; publishers: {listed}. "
            f"End the one that does not belong there{then}",
            done=False,
        )

    def _drain_features(self) -> None:
        """Take every feature frame that was sent before this state, so that lockstep does not depend on threads."""
        with self._feature_subscription.handle:
            while (taken := self._feature_subscription.handle.take_message(PointCloud2, True)) is not None:
                self._on_feature_bytes(taken[0])

    def _on_features(self, message: PointCloud2) -> None:
        frame = self._feature_reader.read_cloud(message, self._clock.frame_time())
        if frame is not None:
            self._loop.mailbox.put_frame(frame)

    def _on_feature_vector(self, message: Float64MultiArray) -> None:
        if not self._states.accepted:
            return
        stamp, received = self._newest
        since = 0.0 if self._lockstep else time.perf_counter() - received
        frame = self._feature_reader.read_vector(
            message, stamp + since - self._feature_latency, self._clock.frame_time()
        )
        if frame is not None:
            self._loop.mailbox.put_frame(frame)
