"""The robot's side of the node benches: a simulated Panda that counts, times and checks the commands it receives."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PointStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from ...config.sections.robot import RobotSettings
from ...config.sections.simulation import PlantSettings
from ...exceptions import MbrlError
from ...messages import readers
from ...nodes import message_writers, qos
from ...nodes.transport import on_this_machine
from ...robots import Robot, load_robot
from ...simulation.plant import Plant
from .child import START_TIMEOUT, Child

DESCRIPTION, TIP_LINK = "package-data:panda", "panda_hand"
JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
ROBOT = {"robot.description": DESCRIPTION, "robot.joints": list(JOINTS), "robot.tip": TIP_LINK}
START_POSE = (0.0, -0.5, 0.0, -2.0, 0.0, 1.6, 0.8)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables within the context; afterwards those from before are back."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def panda(interface: str) -> Robot:
    """Load the Panda with one of the interfaces effort, velocity, position."""
    return load_robot(RobotSettings(description=DESCRIPTION, joints=JOINTS, tip=TIP_LINK, interface=interface))


class RobotSide:
    """Publish joint_states and check commands, in a context of its own; callbacks run in a thread.

    `arrived` guards what the callbacks write.
    """

    def __init__(self, domain: int, interface: str = "effort"):
        self.robot = panda(interface)
        self._context = Context()
        with _environment(on_this_machine()):
            self._context.init(domain_id=domain)
            self.node = rclpy.create_node("bench_robot", context=self._context)
        self.states = self.node.create_publisher(JointState, "joint_states", qos.EVERY)
        on_command: Any = self._on_command  # rclpy passes the message info to callbacks with two parameters
        self.node.create_subscription(Float64MultiArray, "commands", on_command, qos.EVERY)
        self.arrived = threading.Condition()
        self.newest: np.ndarray | None = None
        self.answered = -1.0  # stamp of the state the newest command answers
        self.at = 0.0  # when it came [s], perf_counter
        self.resting_since = 0.0  # when the first of the commands came that have been zero since [s], perf_counter
        self.sent_at: list[tuple[float, int]] = []  # (stamp answered, system time of publishing [ns]) of every command
        self.commands = self.out_of_limit = self.not_finite = 0
        self.keep = False
        self.states_received, self.received_at = 0, 0.0  # of another robot's states; when the last one came [s]
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._further: list[Node] = []
        self._closing = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and the context."""
        self._closing = True
        self._thread.join()
        self._executor.shutdown()
        for node in (self.node, *self._further):
            node.destroy_node()
        self._context.try_shutdown()

    def add_node(self, name: str) -> Node:
        """Make a further node in this process, which ends with it."""
        node = rclpy.create_node(name, context=self._context)
        self._executor.add_node(node)
        self._further.append(node)
        return node

    def moves(self) -> bool:
        """Return whether the newest command is not zero, the safe command of the velocity interface."""
        return self.newest is not None and bool(self.newest.any())

    def subscribe_to_states(self) -> None:
        """Subscribe to joint_states, where another process is the robot."""
        self.node.create_subscription(JointState, "joint_states", self._on_state, qos.EVERY)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Return whether `condition()` became true within `seconds`; it is evaluated whenever a message comes."""
        with self.arrived:
            return self.arrived.wait_for(condition, seconds)

    def wait_for_states(self, count: int, seconds: float) -> bool:
        """Return whether more than `count` states of another robot came within `seconds`."""
        return self.wait_until(lambda: self.states_received > count, seconds)

    def wait_for_reader(self, child: Child) -> None:
        """Wait until the controller subscribes to the states; MbrlError if it does not."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.states.get_subscription_count():
            if not child.running or time.monotonic() > deadline:
                raise MbrlError(f"the node did not start:\n{child.text()}")
            time.sleep(0.05)

    def target_sender(self) -> Callable[[Iterable[float]], None]:
        """Return a function that sends the controller to a point (3,) [m]."""
        publisher = self.node.create_publisher(PointStamped, "mpc_node/target_point", qos.RELIABLE)

        def send(point: Iterable[float]) -> None:
            message = PointStamped()
            message.header.frame_id = self.robot.root
            message.point.x, message.point.y, message.point.z = map(float, point)
            publisher.publish(message)

        return send

    def policy_modes(self) -> list[float]:
        """Subscribe to the policy's status; return the list to which its modes are added as they come."""
        modes: list[float] = []

        def on_status(message: Any) -> None:
            modes.append(message.data[0])

        self.node.create_subscription(Float64MultiArray, "mpc_node/policy_status", on_status, qos.VIEW)
        return modes

    def _spin(self) -> None:
        while not self._closing:
            self._executor.spin_once(timeout_sec=0.1)

    def _on_state(self, message: JointState) -> None:
        with self.arrived:
            self.states_received, self.received_at = self.states_received + 1, time.perf_counter()
            self.arrived.notify_all()

    def _on_command(self, message: Float64MultiArray, info: dict[str, Any]) -> None:
        u = np.array(message.data)
        finite = bool(np.isfinite(u).all()) and u.size == self.robot.n
        stamp = readers.answered_stamp(message)
        with self.arrived:
            self.commands += 1
            self.not_finite += not finite
            self.answered, self.at = -1.0 if stamp is None else stamp, time.perf_counter()
            if finite:
                outside = (u < self.robot.command_lower) | (u > self.robot.command_upper)
                self.out_of_limit += bool(outside.any())
                if not u.any() and (self.newest is None or self.newest.any()):
                    self.resting_since = self.at
                self.newest = u
            if self.keep:
                self.sent_at.append((self.answered, info["source_timestamp"]))
            self.arrived.notify_all()


class StateMaker:
    """Messages of a simulated Panda, one period after the other."""

    def __init__(self, rate: float, robot: Robot, command_delay: float = 1.0):
        """Make the plant.

        `command_delay` [ticks] is 0 where commands are computed from the state before the newest one, as in real
        time, and 1 where they are computed from the newest one.
        """
        self.plant = Plant(
            PlantSettings(
                rate=rate, initial_position=START_POSE, timestep=min(0.001, 1.0 / rate), command_delay=command_delay
            ),
            robot,
        )
        self._measurement = self.plant.reset()
        self.names = list(robot.joints)

    def message(self, stamp: float) -> JointState:
        """Return the present state, stamped `stamp` [s]."""
        m = self._measurement
        return message_writers.to_joint_state(stamp, self.names, m.q, m.qd, m.effort)

    def advance(self, u: np.ndarray | None) -> None:
        """Simulate one period with the command u (n,); None: the brakes hold the arm."""
        if u is not None:
            self._measurement = self.plant.step(u)


class Feed:
    """Valid states at `rate` [Hz] of a simulated arm; its clock is `ahead` [s] of the system's."""

    def __init__(self, robot: RobotSide, rate: float):
        self._robot, self.rate, self._states = robot, rate, StateMaker(rate, robot.robot)
        self.ahead = 0.0

    def send(self) -> float:
        """Publish a state; return its stamp [s]."""
        stamp = time.time() + self.ahead
        self._robot.states.publish(self._states.message(stamp))
        return stamp

    def until_answered(self, seconds: float) -> bool:
        """Send states until one of them is answered, for at most `seconds`; return whether one was."""
        deadline, sent = time.monotonic() + seconds, set()
        while time.monotonic() < deadline:
            sent.add(round(1e6 * self.send()))
            answered = self._robot.wait_until(lambda: round(1e6 * self._robot.answered) in sent, 1.0 / self.rate)
            self._states.advance(self._robot.newest)  # also without an answer: an arm that moves does not stand still
            if answered:
                return True
        return False

    def stream(self, seconds: float) -> None:
        """Send states for `seconds`, while the arm executes the newest command."""
        begin = time.perf_counter()
        for k in range(max(1, round(seconds * self.rate))):
            time.sleep(max(0.0, begin + k / self.rate - time.perf_counter()))
            self.send()
            self._states.advance(self._robot.newest)
