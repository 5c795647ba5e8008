"""The demo's conversation with the nodes: wait until they are ready, hand over the targets, start, watch the progress."""

from __future__ import annotations

import os
import time
from typing import Protocol

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.msg import State as Lifecycle
from lifecycle_msgs.srv import GetState
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger

from ..exceptions import MbrlError
from ..nodes import message_writers, qos
from ..safety.state_machine import State
from ..types import FeatureFrame
from .run import START_STAMP, Processes
from .scenario import Scenario, Slot

READY_TIMEOUT = 240.0  # [s]: the first start compiles the planner
ASK_AGAIN = 2.0  # [s] until a service that has not answered is asked again
STALLED = 120.0  # [s] without any progress
AFTERMATH = 1.0  # [s] simulated after the arm was lost: whether the safe command holds it is worth knowing
PROGRESS_MARGIN = 0.2  # [s] by which the progress may be older than what else is heard
LEAVE = 5.0  # [s] of real time it may take at most
DOUBTS = 5  # changes of the supervisor's state that are told, but for the gravest


class Audience(Protocol):
    """Who is told how it goes: what is waited for, the simulated seconds, and what deserves a line of its own."""

    def waiting(self, what: str) -> None: ...

    def progress(self, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...


def play(scenario: Scenario, processes: Processes, root: str, audience: Audience, end_when_lost: bool) -> None:
    """Play `scenario` on the running nodes until the simulation ends, or, with `end_when_lost`, AFTERMATH after the supervisor
    has given the arm up. `root`: the robot's base frame.

    MbrlError if a node dies, does not get ready or stalls.
    """
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = processes.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"]
    os.environ.pop("ROS_STATIC_PEERS", None)
    rclpy.init(domain_id=processes.domain, signal_handler_options=SignalHandlerOptions.NO)
    session = _Session(processes, audience, scenario.duration)
    try:
        session.wait_until_ready()
        for _ in range(2):  # a reader that is only just connecting misses the first pass; the second replaces it
            for slot in scenario.slots:
                session.send(slot, root)
            session.acknowledged()
        session.start()
        session.watch(end_when_lost)
    finally:
        session.node.destroy_node()
        rclpy.try_shutdown()


class _Session:
    def __init__(self, processes: Processes, audience: Audience, duration: float):
        self._processes, self._audience, self._duration = processes, audience, duration
        self.node = rclpy.create_node("mbrl_demo")
        reliable = QoSProfile(depth=50)
        self._point = self.node.create_publisher(PointStamped, "/mpc_node/target_point", reliable)
        self._features = self.node.create_publisher(PointCloud2, "/mpc_node/target_features", reliable)
        self._state = self.node.create_client(GetState, "/mpc_node/get_state")
        self._start = self.node.create_client(Trigger, "/sim_node/start")
        self._elapsed, self._notes, self._doubts = 0.0, [], 0
        self._lost: tuple[float, float] | None = None  # simulated and real time of the moment the arm was given up
        self.node.create_subscription(Float64, "/sim_node/progress", self._on_progress, QoSProfile(depth=1))
        self.node.create_subscription(String, "/mpc_node/message", self._on_message, reliable)
        self.node.create_subscription(String, "/mpc_node/supervisor_state", self._on_state, qos.LATCHED)

    def wait_until_ready(self) -> None:
        self._audience.waiting("starting the nodes")
        self._wait(lambda: self._start.service_is_ready() and self._state.service_is_ready(), "the nodes to appear")
        self._audience.waiting("compiling the planner")
        self._wait(lambda: self.state() == Lifecycle.PRIMARY_STATE_ACTIVE, "mpc_node to become active")
        self._audience.waiting("connecting the topics")
        ours = (self._point, self._features)
        self._wait(
            lambda: (
                all(p.get_subscription_count() for p in ours)
                and self.node.count_subscribers("/joint_states")
                and self.node.count_subscribers("/commands")
            ),
            "the topics to connect",
        )
        if self.node.count_publishers("/joint_states") > 1 or self.node.count_publishers("/commands") > 1:
            raise MbrlError(
                f"another robot or controller is in DDS domain {self._processes.domain}; choose another --domain"
            )

    def send(self, slot: Slot, root: str) -> None:
        """A target that holds from the slot's start on."""
        stamp = message_writers.to_time(START_STAMP + slot.start)
        if slot.kind == "features":
            publisher, message = (
                self._features,
                message_writers.to_cloud(FeatureFrame(0.0, slot.value, np.ones(slot.value.size // 2))),
            )
        else:
            publisher, message = self._point, PointStamped()
            message.header.frame_id = root
            message.point.x, message.point.y, message.point.z = map(float, slot.value)
        message.header.stamp = stamp
        publisher.publish(message)

    def acknowledged(self) -> None:
        """Return when mpc_node has read every target: they have reached it, and it answers in order."""
        for publisher in (self._point, self._features):
            publisher.wait_for_all_acked(Duration(seconds=10))
        self.state()

    def state(self) -> int:
        return self._call(self._state, GetState.Request(), "mpc_node's lifecycle state").current_state.id

    def start(self) -> None:
        self._call(self._start, Trigger.Request(), "sim_node to start")

    def watch(self, end_when_lost: bool) -> None:
        """Until sim_node ends by itself or the arm is lost."""
        changed, last = time.monotonic(), -1.0
        while self._processes.running["sim_node"].poll() is None:
            rclpy.spin_once(self.node, timeout_sec=0.2)
            self._processes.check()
            while self._notes:
                self._audience.note(self._notes.pop(0))
            if end_when_lost and self._over():
                return
            if self._elapsed != last:
                changed, last = time.monotonic(), self._elapsed
                self._audience.progress(last)
            elif time.monotonic() - changed > STALLED:
                raise MbrlError(f"no progress for {STALLED:g} s at {last:.1f} s of simulated time")
        self._processes.check()

    def _on_message(self, message: String) -> None:
        if " refused" in message.data:
            self._notes.append(message.data)

    def _over(self) -> bool:
        """Whether the arm was lost, and what came of it was seen."""
        if self._lost is None:
            return False
        at, since = self._lost
        return self._elapsed >= at + AFTERMATH + PROGRESS_MARGIN or time.monotonic() - since > LEAVE

    def _on_state(self, message: String) -> None:
        """ "4 FAULT: OVERSPEED" and the like; the silence after the end is no news."""
        if self._elapsed >= self._duration - 1e-6:
            return
        name, _, cause = message.data.partition(" ")[2].partition(": ")
        lost = name in (State.FAULT.name, State.E_STOP.name)
        if lost and self._lost is None:
            self._lost = (self._elapsed, time.monotonic())
        self._doubts += name == State.DEGRADED.name
        if lost or name == State.DEGRADED.name and self._doubts <= DOUBTS:
            self._notes.append(f"at about {self._elapsed:.1f} s: supervisor {name} ({cause})")

    def _on_progress(self, message: Float64) -> None:
        self._elapsed = message.data

    def _call(self, client, request, what: str):
        """Asked again now and then: an answer is lost while the server has not found its way back yet (DDS discovery)."""
        futures, again = [], time.monotonic()

        def answered() -> bool:
            nonlocal again
            if time.monotonic() >= again:
                futures.append(client.call_async(request))
                again = time.monotonic() + ASK_AGAIN
            return any(future.done() for future in futures)

        self._wait(answered, what)
        return next(future.result() for future in futures if future.done())

    def _wait(self, condition, what: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not condition():
            rclpy.spin_once(self.node, timeout_sec=0.05)
            self._processes.check()
            if time.monotonic() > deadline:
                raise MbrlError(f"waited {READY_TIMEOUT:g} s for {what}")
