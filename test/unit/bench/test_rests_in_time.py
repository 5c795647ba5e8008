"""The guard's safe effort brings a simulated Panda to rest within its braking time and 0.1 s."""

import numpy as np
import pytest

from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.bench.node.robot import START_POSE
    from mbrl_ros.guard.laws import make_law
    from mbrl_ros.guard.states import JointStates
    from mbrl_ros.safety.state_machine import State
    from support.guards import parameters_of

pytestmark = needs("rclpy", "mujoco")
BEGINNING, OUTAGE = 300, 3  # periods: until the first target, without a command
TIME = 0.1  # [s] beyond the braking time
AT_REST = 0.04  # of the speed limit


def moving(seed: int) -> "ArmInProcess":
    """Return an arm with efforts in the midst of a random motion."""
    arm, rng = ArmInProcess("effort", seed), np.random.default_rng(seed)
    for _ in range(BEGINNING):
        if arm.supervisor.state is State.HOLD:
            arm.recover()
        arm.period([arm.state()])
    assert arm.go(np.array(START_POSE) + rng.uniform(-0.5, 0.5, 7))
    for _ in range(int(rng.integers(60, 140))):
        arm.period([arm.state()])
    return arm


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("seed", (31, 32, 33, 34))
def test_a_panda_whose_controller_has_ended_rests_within_its_braking_time_and_a_tenth_of_a_second(seed):
    arm = moving(seed)
    robot, safe, plant = arm.robot, arm.supervisor.safe.linear_effort(arm.plant.truth.q), arm.plant
    told = parameters_of(robot, safe, arm.dt)
    fastest = np.abs(plant.truth.qd)
    for _ in range(OUTAGE):
        measured = plant.step(arm.heard.u)
    fastest = np.maximum(fastest, np.abs(plant.truth.qd))
    assert fastest.max() > 0.2  # [rad/s]
    law, braking = make_law(told, arm.heard.u, np.zeros(robot.n)), float((fastest / robot.acceleration_limit).max())
    for k in range(round((braking + TIME) / arm.dt)):
        measured = plant.step(law.command(arm.dt, JointStates(measured.q, measured.qd, k * arm.dt, k * arm.dt)))
    assert (np.abs(plant.truth.qd) / robot.velocity_limit).max() < AT_REST
