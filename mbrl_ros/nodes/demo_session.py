"""The demo's conversation with the nodes: wait until they are ready, hand over the targets, start, watch the progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger

from ..demo.run import START_STAMP, Processes
from ..demo.scenario import Scenario, Slot
from ..exceptions import MbrlError
from ..types import FeatureFrame
from . import messages

READY_TIMEOUT = 240.0  # [s]: the first start compiles the planner
ASK_AGAIN = 2.0  # [s] until a service that has not answered is asked again
STALLED = 120.0  # [s] without any progress


def play(scenario: Scenario, processes: Processes, root: str, progress: Callable[[float], None],
         note: Callable[[str], None]) -> None:
    """Play `scenario` on the running nodes until the simulation ends. `root`: the robot's base frame.

    progress(t) is told the simulated seconds, note(text) what the controller refused. MbrlError if a node dies, does
    not get ready or stalls.
    """
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = processes.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"]
    rclpy.init(domain_id=int(processes.environment["ROS_DOMAIN_ID"]), signal_handler_options=SignalHandlerOptions.NO)
    session = _Session(processes)
    try:
        session.wait_until_ready()
        for _ in range(2):  # a reader that is only just connecting misses the first pass; the second replaces it
            for slot in scenario.slots:
                session.send(slot, root)
            session.acknowledged()
        session.start()
        session.watch(progress, note)
    finally:
        session.node.destroy_node()
        rclpy.try_shutdown()


class _Session:
    def __init__(self, processes: Processes):
        self._processes = processes
        self.node = rclpy.create_node("mbrl_demo")
        reliable = QoSProfile(depth=50)
        self._point = self.node.create_publisher(PointStamped, "/mpc_node/target_point", reliable)
        self._features = self.node.create_publisher(PointCloud2, "/mpc_node/target_features", reliable)
        self._state = self.node.create_client(GetState, "/mpc_node/get_state")
        self._start = self.node.create_client(Trigger, "/sim_node/start")
        self._elapsed, self._notes = 0.0, []
        self.node.create_subscription(Float64, "/sim_node/progress", self._on_progress, QoSProfile(depth=1))
        self.node.create_subscription(String, "/mpc_node/message", self._on_message, reliable)

    def wait_until_ready(self) -> None:
        self._wait(lambda: self._start.service_is_ready() and self._state.service_is_ready(), "the nodes to appear")
        self._wait(lambda: self.state() == State.PRIMARY_STATE_ACTIVE, "mpc_node to become active")
        ours = (self._point, self._features)
        self._wait(lambda: all(p.get_subscription_count() for p in ours) and self.node.count_subscribers("/joint_states")
                   and self.node.count_subscribers("/commands"), "the topics to connect")

    def send(self, slot: Slot, root: str) -> None:
        """A target that holds from the slot's start on."""
        stamp = messages.to_time(START_STAMP + slot.start)
        if slot.kind == "features":
            publisher, message = self._features, messages.to_cloud(
                FeatureFrame(0.0, slot.value, np.ones(slot.value.size // 2)))
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

    def watch(self, progress, note) -> None:
        """Until sim_node ends by itself."""
        changed, last = time.monotonic(), -1.0
        while self._processes.running["sim_node"].poll() is None:
            rclpy.spin_once(self.node, timeout_sec=0.2)
            self._processes.check()
            while self._notes:
                note(self._notes.pop(0))
            if self._elapsed != last:
                changed, last = time.monotonic(), self._elapsed
                progress(last)
            elif time.monotonic() - changed > STALLED:
                raise MbrlError(f"no progress for {STALLED:g} s at {last:.1f} s of simulated time")
        self._processes.check()

    def _on_message(self, message: String) -> None:
        if " refused" in message.data:
            self._notes.append(message.data)

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
