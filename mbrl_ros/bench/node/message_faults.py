"""Joint states with faults for an arm in process (arm_in_process.py): falls, limits and silent failures are counted.

A round sends the arm to a random posture, lets faults arrive while it moves or rests, and then good states only. Then
the user does what the documentation says (~/clear, ~/resume), and the arm must be active again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from sensor_msgs.msg import JointState

from ...safety.state_machine import State
from ...types import Array
from .arm_in_process import ArmInProcess
from .falls import FallJudge
from .fault_record import Cell
from .robot import START_POSE
from .state_faults import Foreign, Leaps, Outliers, SecondPublisher, Split, StateFault, Wraps

MESSAGE_KINDS: Mapping[str, type[StateFault]] = {
    "outliers": Outliers,
    "wraps": Wraps,
    "leaps": Leaps,
    "split": Split,
    "foreign": Foreign,
    "second-publisher": SecondPublisher,
}
REACH = 0.5  # [rad] of the random postures around START_POSE
TURNS = 2.5  # [rad] by which the joint without an end is sent on
SLOWEST = 0.02  # [rad/s]: an arm that is slower rests
LONGEST_RECOVERY = 600  # periods within which the arm must be active again
LONGEST_BEGINNING = 600  # periods until a new arm is active
SETTLED = 220  # periods with good states after that: of other faults the first ones find an arm whose load is known

Progress = Callable[[int], None]


class MessageFaults:
    """One kind of wrong joint states with one interface, counted in `cell`."""

    def __init__(self, kind: str, interface: str, seed: int, cell: Cell):
        self._kind, self._interface, self.cell = kind, interface, cell
        self._rng = np.random.default_rng((seed, sorted(MESSAGE_KINDS).index(kind), len(interface)))
        self._fault = MESSAGE_KINDS[kind](self._rng)
        self._arm: ArmInProcess | None = None
        self._begun: Array = np.array(START_POSE)  # where the present motion began, and
        self._goal: Array = np.array(START_POSE)  # where it ends

    def run(self, count: int, progress: Progress = lambda done: None) -> None:
        """Send `count` wrong messages, and the rest of the last round."""
        rounds = 0
        while self.cell.messages < count:
            if self._arm is None or rounds % self._fault.rounds_per_arm == 0:
                self._begin(rounds)
            self._round()
            rounds += 1
            progress(self.cell.messages)
        self._end()

    # --- a round ----------------------------------------------------------------------------------------------------

    def _begin(self, number: int) -> None:
        """Switch on a new arm: another clock, another noise."""
        self._end()
        clock = ("own", "ros")[(number // self._fault.rounds_per_arm) % 2]
        arm = self._arm = ArmInProcess(
            self._interface, int(self._rng.integers(2**31)), clock=clock, turning=self._kind == "wraps"
        )
        self._clock, self._falls = clock, FallJudge(arm.robot)
        self._begun = self._goal = np.array(START_POSE)
        if self._fault.at_start and self._rng.random() < 0.5:
            self._falls.begin(arm.plant.truth.q, arm.plant.truth.qd)
            self._judge_fall(arm, self._faulty(arm))
        if not self._until_active(arm, LONGEST_BEGINNING):
            self._lost("the arm does not begin")
        for _ in range(0 if self._fault.at_start else SETTLED):
            arm.period([self._good(arm)])

    def _end(self) -> None:
        arm = self._arm
        if arm is not None:
            self.cell.outside += arm.heard.outside
            self.cell.crashes += len(arm.heard.errors)
            for error in arm.heard.errors:
                self.cell.note(error)
        self._arm = None

    def _round(self) -> None:
        arm, rng = self._arm, self._rng
        assert arm is not None
        truth = arm.plant.truth
        if np.abs(truth.qd).max() < SLOWEST and rng.random() < 0.9:
            self._begun, self._goal = truth.q, self._next_goal(truth.q)
            if not arm.go(self._goal):
                self._lost(f"a target was refused: {arm.supervisor.refusal}")
        for _ in range(int(rng.integers(0, 100))):
            arm.period([self._good(arm)])
        truth = arm.plant.truth
        self._falls.begin(truth.q, truth.qd)
        self._falls.allow(self._begun, self._goal)
        fell = False
        for _ in range(self._fault.together):
            fell |= self._faulty(arm)
            for _ in range(self._fault.pause + int(rng.integers(0, 10))):
                fell |= self._period(arm, [self._good(arm)])
        self._judge_fall(arm, fell)
        if not self._until_active(arm, LONGEST_RECOVERY):
            self._lost("not active again")
            self._arm = None

    def _faulty(self, arm: ArmInProcess) -> bool:
        """Let one fault happen; return whether the arm fell."""
        fault, fell, reported, ticks = self._fault, False, arm.reported(), 0
        fault.draw()
        leap = fault.leap()
        if self._clock == "own":
            arm.ahead += leap
        else:
            arm.shift += leap
        for _ in range(fault.lasting):
            messages, count = fault.messages(self._good(arm, plain=True))
            self.cell.messages += count
            before, known = arm.heard.commands, arm.reported()
            fell |= self._period(arm, messages)
            ticks = arm.cycle.statistics.ticks
            if fault.causes_none and arm.heard.commands > before + 1:
                self.cell.unasked += arm.heard.commands - before - 1
                self.cell.note(f"{arm.heard.commands - before} commands for one state at {arm.now:.3f} s")
            if fault.causes_none and arm.reported() < known + count:
                self._silent(arm, f"{count} messages, {arm.reported() - known} counted")
        self._check_silence(arm, reported, ticks)
        return fell

    def _judge_fall(self, arm: ArmInProcess, fell: bool) -> None:
        if fell:
            self.cell.falls += 1
            self.cell.note(f"fell by {1e3 * self._falls.largest:.0f} mm at {arm.now:.3f} s; {self._described(arm)}")
        self.cell.largest = max(self.cell.largest, self._falls.largest)

    def _check_silence(self, arm: ArmInProcess, reported: int, ticks: int) -> None:
        if self._fault.expected and not self._fault.causes_none and arm.reported() == reported:
            self._silent(arm, "not counted")

    def _period(self, arm: ArmInProcess, messages: list[JointState]) -> bool:
        arm.period(messages)
        if self._kind == "wraps" and (turn := abs(arm.observed[0] - arm.plant.truth.q[0])) > 1.0:
            self._silent(arm, f"the first joint is taken to be {turn:.2f} rad from where it is")
        return self._falls.fell(arm.plant.truth.tip)

    def _good(self, arm: ArmInProcess, plain: bool = False) -> JointState:
        """Return the present state as this robot reports it; `plain`: before it is made a wrong one."""
        state = arm.state()
        if self._kind == "wraps" and not plain:
            state.position[0] = float(np.remainder(state.position[0] + np.pi, 2.0 * np.pi) - np.pi)
        return state

    def _until_active(self, arm: ArmInProcess, periods: int) -> bool:
        """Send good states and do what a user does until the arm is active; return whether it is."""
        for _ in range(periods):
            if arm.supervisor.state is State.ACTIVE and arm.period([self._good(arm)]):
                return True
            arm.recover()
            arm.period([self._good(arm)])
        return False

    def _next_goal(self, q: Array) -> Array:
        goal = np.array(START_POSE) + self._rng.uniform(-REACH, REACH, len(START_POSE))
        if self._kind == "wraps":
            goal[0] = np.clip(q[0] + self._rng.uniform(-TURNS, TURNS), -4.0 * np.pi, 4.0 * np.pi)
        assert self._arm is not None
        robot = self._arm.robot
        return np.clip(goal, robot.position_lower + 0.1, robot.position_upper - 0.1)

    # --- what went wrong --------------------------------------------------------------------------------------------

    def _silent(self, arm: ArmInProcess, why: str) -> None:
        self.cell.silent += 1
        self.cell.note(f"silent at {arm.now:.3f} s: {why}; {self._described(arm)}")

    def _lost(self, why: str) -> None:
        self.cell.unrecovered += 1
        assert self._arm is not None
        self.cell.note(f"{why} at {self._arm.now:.3f} s; {self._described(self._arm)}")

    def _described(self, arm: ArmInProcess) -> str:
        return (
            f"{arm.supervisor.state.name} ({arm.supervisor.cause.name}), clock {self._clock}, "
            f"refused {dict(arm.gate.rejected)}, corrected {dict(arm.gate.corrected)}, {vars(self._fault)}"
        )
