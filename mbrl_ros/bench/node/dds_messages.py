"""The same wrong joint states over real DDS to mpc_node itself, in lockstep, beside a reader in this process.

Both get the same messages in the same order. What the reader accepts the node must answer, once; what it refuses must
cause no command; and in the end /diagnostics must hold the reader's counts. No clock is read: waiting ends with the
answer, and by time only where none comes. In lockstep no command goes out without a complete state: the arm goes on
under the last one, and after IN_PROCESS_TIMEOUT, when in real time the safe command would have begun, its way is judged
from where a state is complete again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState

from ...demo.dds_domain import free_domain
from ...messages.input_gate import InputGate
from ...messages.readers import JointStateReader
from ...nodes import qos
from .arm_in_process import IN_PROCESS_RATE, IN_PROCESS_TIMEOUT
from .child import START_TIMEOUT, Child
from .falls import FallJudge
from .fault_record import Cell
from .robot import ROBOT, START_POSE, RobotSide, StateMaker
from .state_faults import Foreign, Outliers, Split, StateFault

DDS_KINDS: Mapping[str, type[StateFault]] = {"outliers": Outliers, "split": Split, "foreign": Foreign}
DDS_SHARE = 0.05  # of the messages of these kinds go over DDS
ANSWER_PATIENCE = 20.0  # [s] for an answer: a busy machine
LAST_COUNT = 10.0  # [s] until the diagnostics hold the last counts
FIRST_STAMP = 1.0  # [s]
SIDE_STEP = 0.3  # [rad] of the random postures around START_POSE
PERIODS_PER_TARGET = 300  # periods between two targets

Progress = Callable[[int], None]


class DdsMessages:
    """One kind of wrong joint states for mpc_node with one interface, counted in `cell`."""

    def __init__(self, kind: str, interface: str, seed: int, cell: Cell):
        self._interface, self.cell = interface, cell
        self._rng = np.random.default_rng((seed, 100 + sorted(DDS_KINDS).index(kind), len(interface)))
        self._fault = DDS_KINDS[kind](self._rng)
        self._newest: dict[str, str] = {}

    def run(self, count: int, progress: Progress = lambda done: None) -> None:
        """Send `count` wrong messages."""
        domain = free_domain()
        side = self._side = RobotSide(domain, self._interface)
        side.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self._targets = side.node.create_publisher(JointState, "mpc_node/target_joints", qos.TARGET_QOS)
        self._gate = InputGate("joint_states", timeout=IN_PROCESS_TIMEOUT, clock="stamps")
        self._mirror = JointStateReader(side.robot, self._gate)
        self._states, self._falls = StateMaker(IN_PROCESS_RATE, side.robot, 1.0), FallJudge(side.robot)
        self._period = self._silent = 0  # periods, and those since the last complete state
        child = Child(
            "mpc_node",
            domain,
            {**ROBOT, "robot.interface": self._interface, "control.rate": IN_PROCESS_RATE, "lockstep": True},
        )
        try:
            side.wait_for_reader(child)
            if self._begin():
                self._send_all(count, progress)
                self._compare_counts()
            else:
                self._lost(child, "it does not answer")
            code = child.end(signal.SIGTERM)
            if code:
                self.cell.crashes += 1
                self.cell.note(f"exit code {code}\n{child.text()}")
        finally:
            child.end(signal.SIGKILL)
            side.close()
            self.cell.outside += side.out_of_limit + side.not_finite

    def _begin(self) -> bool:
        """Send the first state until it is answered."""
        first = self._states.message(FIRST_STAMP)
        for _ in range(round(START_TIMEOUT)):
            self._send(first)
            if self._side.wait_until(lambda: self._side.answered >= FIRST_STAMP - 1e-6, 1.0):
                self._asked = self._side.commands
                return True
        return False

    def _send_all(self, count: int, progress: Progress) -> None:
        begun = goal = np.array(START_POSE)
        sent = 0
        while sent < count:
            if self._period % PERIODS_PER_TARGET == 0:
                begun, goal = goal, np.array(START_POSE) + self._rng.uniform(-SIDE_STEP, SIDE_STEP, len(START_POSE))
                self._targets.publish(JointState(name=list(self._side.robot.joints), position=goal.tolist()))
            self._fault.draw()
            truth = self._states.plant.truth
            self._falls.begin(truth.q, truth.qd)
            self._falls.allow(begun, goal)
            fell = False
            for number in range(self._fault.lasting + self._fault.pause):
                good = self._states.message(FIRST_STAMP + (self._period + 1) / IN_PROCESS_RATE)
                faulty = number < self._fault.lasting
                messages, wrong = self._fault.messages(good) if faulty else ([good], 0)
                sent += wrong
                self.cell.messages, self.cell.dds = self.cell.messages + wrong, self.cell.dds + wrong
                if not self._exchange(messages):
                    return
                truth = self._states.plant.truth
                if self._silent > IN_PROCESS_TIMEOUT * IN_PROCESS_RATE:
                    self.cell.largest = max(self.cell.largest, self._falls.largest)
                    self._falls.begin(truth.q, truth.qd)
                    self._falls.allow(begun, goal)
                fell |= self._falls.fell(truth.tip)
            self.cell.falls += fell
            self.cell.largest = max(self.cell.largest, self._falls.largest)
            progress(sent)

    def _exchange(self, messages: list[JointState]) -> bool:
        """Send the messages of a period, wait for the answers, and simulate it; return whether all answers came."""
        expected = None
        for message in messages:
            if (stamp := self._send(message)) is not None:
                expected, self._asked = stamp, self._asked + 1
        self._silent = 0 if expected is not None else self._silent + 1
        side = self._side
        if expected is not None and not side.wait_until(lambda: side.answered >= expected - 1e-6, ANSWER_PATIENCE):
            self.cell.unrecovered += 1
            self.cell.note(f"the state stamped {expected:.3f} is not answered")
            return False
        self._states.advance(side.newest)
        self._period += 1
        return True

    def _send(self, message: JointState) -> float | None:
        """Send a message; return the stamp of the state [s] that must be answered, None if none must."""
        self._side.states.publish(message)
        reading = self._mirror.read(message, 0.0)
        return None if reading is None else reading.observation.stamp

    def _compare_counts(self) -> None:
        """Compare the commands and the diagnostics with what the reader in this process has accepted and refused."""
        if self._side.commands > self._asked:
            self.cell.unasked += self._side.commands - self._asked
            self.cell.note(f"{self._side.commands} commands for {self._asked} accepted states")
        expected = {f"rejected: {reason}": count for reason, count in self._gate.rejected.items()}
        expected |= {f"corrected: {what}": count for what, count in self._gate.corrected.items()}

        def agree() -> bool:
            return all(int(self._newest.get(key, 0)) == count for key, count in expected.items())

        if not self._side.wait_until(agree, LAST_COUNT):
            missing = {key: (count, self._newest.get(key, 0)) for key, count in expected.items()}
            self.cell.silent += 1
            self.cell.note(f"expected and reported: {missing}")

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if status.name == "/mpc_node: joint_states":
                with self._side.arrived:
                    self._newest = {entry.key: entry.value for entry in status.values}
                    self._side.arrived.notify_all()

    def _lost(self, child: Child, why: str) -> None:
        self.cell.unrecovered += 1
        self.cell.note(f"{why}\n{child.text()}")
