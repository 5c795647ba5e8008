"""A simulated Panda behind guard_node: the guard and mpc_node as processes, this process as the robot.

The arm executes the newest command in every period, as a forward_command_controller without a time-out does. Where its
tip was, and when every command left its publisher, is kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from ...demo.dds_domain import free_domain
from ...exceptions import MbrlError
from ...guard.messages import GuardMessageError, GuardStatus, read_status
from ...nodes import qos
from ...types import Array
from .child import START_TIMEOUT, Child
from .recovery import ANSWER
from .robot import ROBOT, START_POSE, RobotSide, StateMaker

GUARDED_RATE, GUARDED_TIMEOUT = 100.0, 0.05  # [Hz], [s] control.state_timeout
GUARD_NAME = "guard_node"
OWN = -1.0  # RobotSide.answered of a command that answers no state: the guard's own
IN_MOTION, SLOW_ENOUGH = 0.3, 0.05  # [rad/s]: the fastest joint of an arm in motion, and at rest
SIDE = 0.4  # [rad] of the random postures around START_POSE
MOTION_PATIENCE = 20.0  # [s] until an arm that may move does


class GuardedRobot:
    """The processes, and what is known of the arm; `stream` lets time pass."""

    def __init__(self, interface: str, priority: int, rng: np.random.Generator):
        self._priority, self._rng = priority, rng
        self.domain, self.interface = free_domain(), interface
        self.side = RobotSide(self.domain, interface)
        self.side.keep = True
        node = self.side.node
        self.status: GuardStatus | None = None
        node.create_subscription(Float64MultiArray, f"{GUARD_NAME}/guard_status", self._on_status, qos.LATCHED)
        self._targets = node.create_publisher(JointState, "mpc_node/target_joints", qos.TARGET_QOS)
        self._clients = {name: node.create_client(Trigger, f"mpc_node/{name}") for name in ("clear", "resume")}
        self._states = StateMaker(GUARDED_RATE, self.side.robot, 0.0)
        self._next, self.overrun = time.perf_counter(), 0.0  # by how much a period of this process was late [s]
        self.tips: list[Array] = []
        self.begun = self.goal = np.array(START_POSE)  # where the present motion began and where it ends
        self.start_guard()
        self.start_mpc()

    # --- processes --------------------------------------------------------------------------------------------------

    def start_guard(self) -> None:
        """Start guard_node."""
        self.guard = Child(GUARD_NAME, self.domain, {"priority": self._priority})

    def start_mpc(self) -> None:
        """Start mpc_node."""
        self.mpc = Child(
            "mpc_node",
            self.domain,
            {
                **ROBOT,
                "robot.interface": self.interface,
                "control.rate": GUARDED_RATE,
                "control.state_timeout": GUARDED_TIMEOUT,
                "control.stamp_clock": "ros",
                "guard": GUARD_NAME,
                "priority": self._priority,
            },
        )

    def close(self, number: int) -> int:
        """End mpc_node with a signal, and then the guard; return the exit code of mpc_node."""
        code = self.mpc.end(number)
        self.guard.end(number)
        self.side.close()
        return code

    # --- time -------------------------------------------------------------------------------------------------------

    def stream(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Send states and execute commands for `seconds`, or until a condition holds; return whether it does."""
        for _ in range(max(1, round(seconds * GUARDED_RATE))):
            now = time.perf_counter()
            self.overrun = max(self.overrun, now - self._next - 1.0 / GUARDED_RATE)
            self._next = max(self._next + 1.0 / GUARDED_RATE, now - 1.0 / GUARDED_RATE)  # no burst after a pause
            time.sleep(max(0.0, self._next - now))
            late = time.perf_counter() - self._next  # the plant takes whole periods: this state is of `late` [s] ago
            self.side.states.publish(self._states.message(time.time() - late))
            self._states.advance(self.side.newest)
            self.tips.append(self._states.plant.truth.tip)
            if until():
                return True
        return until()

    # --- the arm ----------------------------------------------------------------------------------------------------

    @property
    def q(self) -> Array:
        """Return its true positions (n,) [rad]."""
        return self._states.plant.truth.q

    @property
    def qd(self) -> Array:
        """Return its true velocities (n,) [rad/s]."""
        return self._states.plant.truth.qd

    @property
    def speed(self) -> float:
        """Return the speed of its fastest joint [rad/s]."""
        return float(np.abs(self.qd).max())

    @property
    def commanded(self) -> bool:
        """Whether mpc_node commands the arm, and not the guard."""
        return self.mode == "FORWARDING" and self.side.answered != OWN

    @property
    def mode(self) -> str:
        """Return the guard's state."""
        return "" if self.status is None else self.status.mode

    def move(self) -> bool:
        """Send an arm that rests somewhere else until it moves under mpc_node's commands; return whether it does.

        ~/clear and ~/resume are called where they are needed. What a late machine did to the arm is over then.
        """
        deadline = time.monotonic() + MOTION_PATIENCE
        while time.monotonic() < deadline:
            if not self.stream(ANSWER, lambda: self.mode == "FORWARDING" and self.speed < SLOW_ENOUGH):
                continue
            self.call("clear")
            self.call("resume")
            self.stream(0.1)
            self.begun = self.q
            goal = self.goal = np.array(START_POSE) + SIDE * self._rng.choice((-1.0, 1.0), len(START_POSE))
            self._targets.publish(JointState(name=list(self.side.robot.joints), position=goal.tolist()))
            if self.stream(ANSWER, lambda: self.speed > IN_MOTION and self.mode == "FORWARDING"):
                return True
        return False

    def call(self, service: str) -> bool:
        """Call a service of mpc_node while states are sent; return whether it was granted."""
        client = self._clients[service]
        if not client.service_is_ready():
            return False
        future = client.call_async(Trigger.Request())
        self.stream(ANSWER, future.done)
        return bool(future.done() and future.result().success)

    def begin(self) -> None:
        """Wait until the arm can be commanded; MbrlError if that does not come."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.stream(0.5, lambda: self.mode == "FORWARDING"):
            if time.monotonic() > deadline or not (self.mpc.running and self.guard.running):
                raise MbrlError(f"the nodes do not start:\n{self.mpc.text()}{self.guard.text()}")

    def _on_status(self, message: Any) -> None:
        with contextlib.suppress(GuardMessageError):
            self.status = read_status(message)
