"""Drive the nodes of a run: wait until they are ready, send the targets, start, watch the progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped, PoseStamped, TwistStamped
from lifecycle_msgs.msg import State as Lifecycle
from lifecycle_msgs.srv import GetState
from rclpy.client import Client
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from ..exceptions import MbrlError
from ..messages import readers
from ..messages.drawn_plan import read_plan
from ..nodes import markers, message_writers, qos
from ..references.jogging import JOGS
from ..robots import Robot
from ..safety.state_machine import State
from ..scenarios.scenario import Scenario, Slot
from ..types import FeatureFrame
from .heard import Heard
from .jog_scenario import JogStream
from .processes import Processes
from .run import START_STAMP

READY_TIMEOUT = 240.0  # [s]: the first start compiles the planner
RESEND_PERIOD = 2.0  # [s] until a service that has not answered is asked again
STALLED = 120.0  # [s] without any progress
AFTERMATH = 1.0  # [s] simulated after the arm was lost, to see whether the safe command holds it
PROGRESS_MARGIN = 0.2  # [s] by which the progress may be older than the other messages
LONGEST_AFTERMATH = 5.0  # [s] of real time
MOST_WARNINGS = 5  # notes on the supervisor being DEGRADED


class Listener(Protocol):
    """Is informed about the progress of a session."""

    def waiting(self, what: str) -> None:
        """Take note of what is waited for before the start."""

    def progress(self, seconds: float) -> None:
        """Take note of the simulated time [s]."""

    def note(self, text: str) -> None:
        """Take note of something that deserves a line of its own."""


def play(
    scenario: Scenario, processes: Processes, robot: Robot, listener: Listener, end_when_lost: bool, film: bool = False
) -> Heard:
    """Play a scenario on the running nodes until the simulation ends.

    Parameters
    ----------
    scenario
        Targets and events.
    processes
        The nodes.
    robot
        That the nodes move.
    listener
        Is informed about the progress.
    end_when_lost
        End AFTERMATH seconds after the supervisor has stopped the arm for good.
    film
        Keep what is drawn of the plans.

    Returns
    -------
    Heard
        What the nodes do not write down.

    Raises
    ------
    MbrlError
        A node died, did not get ready or made no progress.
    """
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = processes.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"]
    os.environ.pop("ROS_STATIC_PEERS", None)
    rclpy.init(domain_id=processes.domain, signal_handler_options=SignalHandlerOptions.NO)
    session = _Session(processes, listener, scenario, robot, film)
    try:
        session.wait_until_ready()
        session.send_obstacles()
        for _ in range(2):  # a subscriber that is just connecting misses the first pass; the second replaces it
            for slot in scenario.slots:
                if slot.kind not in JOGS:
                    session.send(slot)
            session.wait_until_read()
        session.start()
        session.watch(end_when_lost)
        session.heard.changes = session.jogs.sent
        return session.heard
    finally:
        session.node.destroy_node()
        try_shutdown()


class _Session:
    """The ROS side of a run: a node that sends the targets and watches sim_node and mpc_node."""

    def __init__(self, processes: Processes, listener: Listener, scenario: Scenario, robot: Robot, film: bool):
        self._processes, self._listener, self._duration = processes, listener, scenario.duration
        self._robot, self._obstacles, self.jogs = robot, scenario.obstacles, JogStream(scenario)
        self.node = rclpy.create_node("mbrl_demo")
        reliable = QoSProfile(depth=50)
        self._point = self.node.create_publisher(PointStamped, "/mpc_node/target_point", reliable)
        self._pose = self.node.create_publisher(PoseStamped, "/mpc_node/target_pose", reliable)
        self._features = self.node.create_publisher(PointCloud2, "/mpc_node/target_features", reliable)
        self._trajectory = self.node.create_publisher(JointTrajectory, "/mpc_node/target_trajectory", reliable)
        self._targets: tuple[Publisher, ...] = self._point, self._pose, self._features, self._trajectory
        if self._obstacles:
            self._room = self.node.create_publisher(MarkerArray, "/mpc_node/obstacles", reliable)
            self._targets += (self._room,)
        self._listens = 0  # how many subscribers to the states are this node's
        if self.jogs:
            self._twist = self.node.create_publisher(TwistStamped, "/mpc_node/target_twist", reliable)
            self._velocities = self.node.create_publisher(JointState, "/mpc_node/target_velocities", reliable)
            self._targets += (self._twist, self._velocities)
            self.node.create_subscription(JointState, "/joint_states", self._on_state_of_robot, qos.NEWEST)
            self._listens = 1
        self._state = self.node.create_client(GetState, "/mpc_node/get_state")
        self._start = self.node.create_client(Trigger, "/sim_node/start")
        self._elapsed, self._warnings = 0.0, 0
        self.heard = Heard()
        self._notes: list[str] = []
        self._lost: tuple[float, float] | None = None  # simulated and real time when the arm was lost
        self._supervisor = ""  # its state and cause then
        self.node.create_subscription(Float64, "/sim_node/progress", self._on_progress, QoSProfile(depth=1))
        self.node.create_subscription(String, "/mpc_node/message", self._on_message, reliable)
        self.node.create_subscription(String, "/mpc_node/supervisor_state", self._on_state, qos.LATCHED)
        if film:
            self.node.create_subscription(MarkerArray, "/mpc_node/markers", self._on_plan, qos.VIEW)

    def wait_until_ready(self) -> None:
        """Wait until both nodes run, the controller is active and the topics are connected."""
        self._listener.waiting("starting the nodes")
        self._wait(lambda: self._start.service_is_ready() and self._state.service_is_ready(), "the nodes to appear")
        self._listener.waiting("compiling the planner")
        self._wait(lambda: self.state() == Lifecycle.PRIMARY_STATE_ACTIVE, "mpc_node to become active")
        self._listener.waiting("connecting the topics")
        self._wait(
            lambda: (
                all(p.get_subscription_count() for p in self._targets)
                and self.node.count_subscribers("/joint_states") > self._listens
                and self.node.count_subscribers("/commands")
                and ("feature_node" not in self._processes.running or self._sees())
            ),
            "the topics to connect",
        )
        if self.node.count_publishers("/joint_states") > 1 or self.node.count_publishers("/commands") > 1:
            raise MbrlError(
                f"another robot or controller is in DDS domain {self._processes.domain}; choose another --domain"
            )

    def _sees(self) -> bool:
        """Return whether images find their way to feature_node, and its features to mpc_node and sim_node."""
        return bool(self.node.count_subscribers("/image") and self.node.count_publishers("/features"))

    def send_obstacles(self) -> None:
        """Send what stands around the arm, if anything does."""
        if self._obstacles:
            self._room.publish(markers.obstacle_markers(self._obstacles, self._robot.root))

    def send(self, slot: Slot) -> None:
        """Send the target of a slot, stamped with the slot's start."""
        stamp, root = message_writers.to_time(START_STAMP + slot.start), self._robot.root
        if slot.path is not None:
            publisher: Any = self._trajectory
            message: Any = message_writers.to_trajectory_target(slot.path, self._robot.joints, START_STAMP + slot.start)
        elif slot.kind == "features":
            publisher, message = (
                self._features,
                message_writers.to_cloud(FeatureFrame(0.0, slot.value, np.ones(slot.value.size // 2))),
            )
        elif slot.kind == "pose":
            publisher, message = self._pose, PoseStamped()
            message.header.frame_id = root
            at, turned = message.pose.position, message.pose.orientation
            at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w = map(float, slot.value)
        else:
            publisher, message = self._point, PointStamped()
            message.header.frame_id = root
            message.point.x, message.point.y, message.point.z = map(float, slot.value)
        message.header.stamp = stamp
        publisher.publish(message)

    def wait_until_read(self) -> None:
        """Wait until mpc_node has read every target: they have arrived, and it answers a later request."""
        for publisher in self._targets:
            publisher.wait_for_all_acked(Duration(seconds=10))
        self.state()

    def state(self) -> int:
        """Return the lifecycle state of mpc_node."""
        return self._call(self._state, GetState.Request(), "mpc_node's lifecycle state").current_state.id

    def start(self) -> None:
        """Start the simulation."""
        self._call(self._start, Trigger.Request(), "sim_node to start")

    def watch(self, end_when_lost: bool) -> None:
        """Inform the listener until sim_node ends by itself or the arm is lost."""
        changed, last = time.monotonic(), -1.0
        while self._processes.running["sim_node"].poll() is None:
            rclpy.spin_once(self.node, timeout_sec=0.2)
            self._processes.check()
            while self._notes:
                self._listener.note(self._notes.pop(0))
            if end_when_lost and self._over():
                return
            if self._elapsed != last:
                changed, last = time.monotonic(), self._elapsed
                self._listener.progress(last)
            elif time.monotonic() - changed > STALLED:
                why = f"; {self._supervisor} since about {self._lost[0]:.1f} s" if self._lost else ""
                raise MbrlError(f"no progress for {STALLED:g} s at {last:.1f} s of simulated time{why}")
        self._processes.check()

    def _on_plan(self, message: MarkerArray) -> None:
        self.heard.plans.append(read_plan(message))

    def _on_message(self, message: String) -> None:
        if " refused" in message.data:
            self._notes.append(message.data)

    def _on_state_of_robot(self, state: JointState) -> None:
        """Send the message of a stream that is due, stamped with the newest state: both count simulated time."""
        for slot in self.jogs.due(readers.seconds(state.header.stamp) - START_STAMP):
            if slot.kind == "twist":
                message: Any = TwistStamped()
                message.header.frame_id = self._robot.root
                linear, angular = message.twist.linear, message.twist.angular
                linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = map(float, slot.value)
            else:
                message = JointState(name=list(self._robot.joints), velocity=slot.value.tolist())
            message.header.stamp = state.header.stamp
            (self._twist if slot.kind == "twist" else self._velocities).publish(message)

    def _over(self) -> bool:
        """Return whether the arm was lost and its aftermath has been simulated."""
        if self._lost is None:
            return False
        at, since = self._lost
        return self._elapsed >= at + AFTERMATH + PROGRESS_MARGIN or time.monotonic() - since > LONGEST_AFTERMATH

    def _on_state(self, message: String) -> None:
        """Take note of a state such as "4 FAULT: OVERSPEED"; after the end of the simulation states mean nothing."""
        if self._elapsed >= self._duration - 1e-6:
            return
        name, _, cause = message.data.partition(" ")[2].partition(": ")
        lost = name in (State.FAULT.name, State.E_STOP.name)
        if lost and self._lost is None:
            self._lost, self._supervisor = (self._elapsed, time.monotonic()), f"supervisor {name} ({cause})"
        self._warnings += name == State.DEGRADED.name
        if lost or name == State.DEGRADED.name and self._warnings <= MOST_WARNINGS:
            self._notes.append(f"at about {self._elapsed:.1f} s: supervisor {name} ({cause})")

    def _on_progress(self, message: Float64) -> None:
        self._elapsed = message.data

    def _call(self, client: Client, request: Any, what: str) -> Any:
        """Call a service, again now and then: an answer is lost until DDS discovery is complete both ways."""
        futures: list[Any] = []
        again = time.monotonic()

        def answered() -> bool:
            nonlocal again
            if time.monotonic() >= again:
                futures.append(client.call_async(request))
                again = time.monotonic() + RESEND_PERIOD
            return any(future.done() for future in futures)

        self._wait(answered, what)
        return next(future.result() for future in futures if future.done())

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not condition():
            rclpy.spin_once(self.node, timeout_sec=0.05)
            self._processes.check()
            if time.monotonic() > deadline:
                raise MbrlError(f"waited {READY_TIMEOUT:g} s for {what}")
