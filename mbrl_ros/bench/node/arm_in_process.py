"""A simulated Panda under the control cycle of mpc_node, in one process and in simulated time.

A message passes the stages that it passes in the node: messages.readers.JointStateReader with its gate,
runtime.mailbox, and runtime.control_cycle with controller and supervisor. Only DDS, the node's threads and the
processor's clock are missing: a message arrives when the bench says so, the answer to a state takes no time, and a
period without a state is a missed tick. Nothing depends on how fast this machine is, and two runs with one seed are the
same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import JointState

from ...config.configuration import Configuration
from ...config.sections.robot import RobotSettings
from ...config.sections.simulation import PlantSettings
from ...controllers.factory import build_controller
from ...exceptions import TargetError
from ...messages.input_gate import InputGate
from ...messages.readers import JointStateReader
from ...nodes import message_writers
from ...robots import Robot, load_robot
from ...robots.sources import read
from ...runtime.conditions import LiveConditions
from ...runtime.control_cycle import ControlCycle
from ...runtime.mailbox import Arrival, Mailbox
from ...runtime.time_line import StampJudge, StateAge
from ...safety.factory import make_supervisor
from ...safety.state_machine import Request, State
from ...simulation.mechanism import USUAL_DAMPING
from ...simulation.plant import Plant
from ...types import Array
from ..checked_outputs import CheckedOutputs
from .robot import DESCRIPTION, JOINTS, START_POSE, TIP_LINK, panda

IN_PROCESS_RATE, IN_PROCESS_TIMEOUT = 200.0, 0.05  # [Hz], [s] control.state_timeout: the defaults
FIRST_JOINT = r'(<joint name="panda_joint1" type="revolute">.*?</joint>)'
EPOCH = 1.7e9  # [s] of the clocks when the arm is switched on: since 1970, as those of real robots
TRANSPORT = (2e-4, 8e-4)  # [s] that a message takes, at least and at most
PLANT_NOISE = 0.0  # [rad] of the initial position


def turning_panda(interface: str) -> Robot:
    """Load a Panda whose first joint turns without an end."""
    text = read(DESCRIPTION)
    head, joint, rest = re.split(FIRST_JOINT, text, maxsplit=1, flags=re.S)
    joint = joint.replace('type="revolute"', 'type="continuous"')
    joint = re.sub(r'(lower|upper)="[^"]*"', "", re.sub(r"<safety_controller[^>]*/>", "", joint))
    return load_robot(RobotSettings(joints=JOINTS, tip=TIP_LINK, interface=interface), head + joint + rest)


class InProcessClock:
    """The `Clock` of the cycle: `time` [s] has elapsed, and the newest state is as old as its stamp says."""

    def __init__(self) -> None:
        self.time = 0.0
        self.newest = StateAge()

    def now(self) -> float:
        """Return the time that has elapsed [s]."""
        return self.time

    def elapsed(self) -> float:
        """Return the time that has elapsed [s]."""
        return self.time

    def age(self) -> float:
        """Return the age of the newest state [s]."""
        return self.newest.at(self.time)

    def stands(self) -> bool:
        """Say no: there is no /clock."""
        return False

    def sleep(self, seconds: float) -> None:
        """Wait for nothing."""


class ArmInProcess:
    """The arm and its controller.

    `ahead` [s] is by how much the robot's clock is ahead of the controller's, and `shift` [s] by how much both have
    leapt since the beginning.

    Parameters
    ----------
    interface
        effort, velocity or position.
    seed
        of the measurement noise and the transport times.
    clock
        `control.stamp_clock`.
    turning
        whether its first joint turns without an end.
    rate
        of the control loop and the states [Hz].
    """

    def __init__(
        self, interface: str, seed: int, *, clock: str = "own", turning: bool = False, rate: float = IN_PROCESS_RATE
    ):
        robot = self.robot = turning_panda(interface) if turning else panda(interface)
        configuration = Configuration.from_flat(
            {
                "robot.interface": interface,
                "robot.joints": JOINTS,
                "robot.tip": TIP_LINK,
                "control.rate": rate,
                "control.state_timeout": IN_PROCESS_TIMEOUT,
                "control.stamp_clock": clock,
            }
        )
        self.dt, self._periods, self._clock = 1.0 / rate, 0, InProcessClock()
        self.ahead = self.shift = 0.0
        self.plant = Plant(
            PlantSettings(
                rate=rate,
                initial_position=START_POSE,
                initial_noise=PLANT_NOISE,
                damping=(USUAL_DAMPING,),
                seed=seed,
            ),
            robot,
        )
        self._measured = self.plant.reset()
        self.controller, self.heard = build_controller(robot, configuration), CheckedOutputs(robot)
        self.supervisor = make_supervisor(robot, configuration)
        conditions = LiveConditions(self._clock, self.dt, IN_PROCESS_TIMEOUT)
        self.cycle = ControlCycle(
            self.controller, self.supervisor, self.heard, conditions, dt=self.dt, timeout=IN_PROCESS_TIMEOUT
        )
        self.gate, self._judge = InputGate("joint_states", timeout=IN_PROCESS_TIMEOUT, clock=clock), StampJudge(self.dt)
        self.reader = JointStateReader(robot, self.gate)
        self._mailbox = Mailbox(self.dt, lockstep=False, player_period=None, events=self.cycle.statistics.events)
        self._mailbox.open()
        self._arrival: Arrival | None = None
        self._disputed = False
        self._rng = np.random.default_rng(seed)
        self.holds = 0  # because of a second publisher

    # --- one period -------------------------------------------------------------------------------------------------

    def state(self) -> JointState:
        """Return the arm's present state as its driver reports it, stamped by the robot's clock."""
        m, braked = self._measured, not self.heard.commands
        qd = np.zeros(self.robot.n) if braked else m.qd
        return message_writers.to_joint_state(self.now + self.ahead, self.robot.joints, m.q, qd, m.effort)

    @property
    def now(self) -> float:
        """Return the time of the controller's clock [s]."""
        return EPOCH + self.shift + self._clock.time

    def period(self, messages: Sequence[JointState]) -> bool:
        """Let messages arrive one after the other, answer them, and simulate a period; return whether one was answered.

        This is what Subscriptions, InputClock and ControlLoop do.
        """
        before = self.cycle.statistics.ticks
        for message in messages:
            self._clock.time += float(self._rng.uniform(*TRANSPORT)) / len(messages)
            self._hear(message)
            self._answer()
        answered = self.cycle.statistics.ticks > before
        if not answered and self.cycle.started:
            self.cycle.publish_results(self.cycle.miss(self._clock.age()))
        if self.heard.commands:  # the brakes hold the arm before the first command
            self._measured = self.plant.step(self.heard.u)
        self._periods += 1
        self._clock.time = self.dt * self._periods
        return answered

    def _hear(self, message: JointState) -> None:
        reading = self.reader.read(message, self.now)
        if reading is not None:
            observation, effort, restarted = reading
            self._clock.newest.add_state(self.gate.age(self.now), self._clock.time)
            if restarted:
                self._judge.forget()
            restarted = self._judge.leap(observation.stamp, self._clock.time) > 0.0 or restarted
            self._arrival = Arrival(observation, self._clock.time, effort, restarted)
            if self.reader.trusted:
                self._mailbox.put(self._arrival)
        elif self.reader.repeated and self._arrival is not None and self.reader.trusted:
            self._mailbox.put_repeated(self._arrival)
        if self.reader.second_publisher != self._disputed:
            self._disputed = self.reader.second_publisher
            if self._disputed:
                self.holds += 1
                if self.reader.trusted:
                    self.cycle.request(Request.HOLD)

    def _answer(self) -> None:
        while (arrival := self._mailbox.take(lambda: 0.0)) is not None:
            if arrival.repeated:
                self.cycle.repeat_command(arrival.observation.stamp)
            else:
                self.cycle.publish_results(self.cycle.tick(arrival))

    # --- what a user does -------------------------------------------------------------------------------------------

    def go(self, q: Array) -> bool:
        """Send the arm to q (n,); return whether the target was accepted."""
        try:
            self.controller.set_joint_target(q)
        except TargetError:
            return False
        return True

    def recover(self) -> None:
        """Call ~/clear and ~/resume where the state needs it."""
        if self.supervisor.state in (State.FAULT, State.E_STOP):
            self.cycle.request(Request.CLEAR)
        if self.supervisor.state is State.HOLD:
            self.cycle.request(Request.RESUME)

    # --- what is known of it ----------------------------------------------------------------------------------------

    @property
    def observed(self) -> Array:
        """Return the positions (n,) of the last accepted state; the true ones before the first."""
        return self.plant.truth.q if self._arrival is None else self._arrival.observation.q

    def reported(self) -> int:
        """Return how many messages were refused, corrected or taken for another time line, and events recorded."""
        counted = sum(self.gate.rejected.values()) + sum(self.gate.corrected.values()) + self.gate.restarts
        return counted + self.heard.events
