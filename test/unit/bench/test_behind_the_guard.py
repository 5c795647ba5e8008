"""A controller that is started again while the guard holds the arm takes it over without a leap."""

import numpy as np
import pytest

from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.bench.node.robot import START_POSE
    from mbrl_ros.guard.laws import EffortLaw
    from mbrl_ros.guard.states import JointStates
    from mbrl_ros.nodes import message_writers
    from mbrl_ros.safety.state_machine import Guard, State
    from support.guards import parameters_of

pytestmark = needs("rclpy", "mujoco")
RATE = 100.0  # [Hz]
STATUS_TIME, TAKEN_OVER = 0.05, 0.5  # [s] between two of the guard's statuses; watched


def carried_by_a_guard(seed: int) -> tuple["ArmInProcess", "EffortLaw"]:
    """Return an arm that rests somewhere, and the guard's law that carries it there."""
    arm = ArmInProcess("effort", seed, rate=RATE)
    for _ in range(100):
        arm.period([arm.state()])
    arm.recover()
    assert arm.go(np.array(START_POSE) + 0.2 * np.random.default_rng(seed).choice((-1.0, 1.0), 7))
    for _ in range(400):
        arm.period([arm.state()])
    robot, law = arm.robot, arm.supervisor.safe.linear_effort(arm.plant.truth.q)
    told = parameters_of(robot, law, arm.dt)
    return arm, EffortLaw(told, arm.heard.u)


class StartedAgain:
    """A new controller for the arm of another one, which the guard's `law` holds until it is handed over."""

    def __init__(self, before: "ArmInProcess", law: "EffortLaw", seed: int):
        self.arm, self._law, self._plant = ArmInProcess("effort", seed, rate=RATE), law, before.plant
        self.arm.plant, self.measured = self, self._plant.step(before.heard.u)
        self.truth, self.guarded, self.time = self._plant.truth, True, 0.0

    def step(self, u: np.ndarray):
        """Execute the newest command, which is the guard's while it holds the arm."""
        if self.guarded:
            u = self._law.command(self.arm.dt, JointStates(self.measured.q, self.measured.qd, self.time, self.time))
        self.measured, self.time = self._plant.step(u), self.time + self.arm.dt
        self.truth = self._plant.truth
        return self.measured

    def load(self, mass: float) -> None:
        """Fasten a payload of `mass` [kg] to the hand."""
        self._plant.set_payload(mass)

    def hold(self, seconds: float) -> None:
        """Let the guard hold the arm for `seconds`."""
        for _ in range(round(seconds * RATE)):
            self.period()

    def period(self) -> None:
        arm, m = self.arm, self.measured
        message = message_writers.to_joint_state(arm.now, arm.robot.joints, m.q, m.qd, m.effort)
        commanded = bool(arm.heard.commands)
        arm.period([message])
        if not commanded:  # the guard holds it, not the brakes
            self.step(np.zeros(arm.robot.n))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("load, held", ((0.0, 0.2), (3.0, 1.0), (0.0, 2.0)))  # [kg], [s]
@pytest.mark.parametrize("seed", range(4))
def test_the_first_efforts_are_those_that_carry_the_arm(seed, load, held):
    """Of an arm of which nothing is known the first plan wants 87 N m, and makes it swing at 1.7 to 2.0 rad/s."""
    before, law = carried_by_a_guard(seed)
    began = StartedAgain(before, law, seed + 100)
    arm = began.arm
    arm.supervisor.override(Guard.ACTS)
    while not arm.cycle.statistics.ticks:
        began.period()
    began.hold(STATUS_TIME)
    began.load(load)
    for _ in range(round(held / STATUS_TIME)):
        arm.supervisor.override(Guard.ACTS, law.carrying)
        began.hold(STATUS_TIME)
    carrying = law.carrying
    began.guarded = False
    arm.supervisor.override(Guard.FORWARDS)
    efforts, speeds = [], []
    for _ in range(round(TAKEN_OVER * RATE)):
        began.period()
        efforts.append(np.abs(arm.heard.u - carrying).max())
        speeds.append(np.abs(began.truth.qd).max())
    assert arm.supervisor.state is State.ACTIVE
    assert max(efforts) < 15.0 and max(speeds) < 0.25
