"""The first motion of an arm that has rested: what noise has taught its model does not throw it."""

import numpy as np
import pytest

from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.bench.node.robot import START_POSE
    from mbrl_ros.messages.readers import seconds
    from mbrl_ros.safety.state_machine import State

pytestmark = needs("rclpy", "mujoco")
BEGINNING, RESTING, MOTION = 300, 600, 80  # periods
FASTEST = 1.6  # times the acceleration limit
FARTHEST = 0.012  # [rad] from the reference


def rested(seed: int) -> "ArmInProcess":
    """Return an arm with positions that has been active, without a target, for three seconds."""
    arm = ArmInProcess("position", seed)
    for _ in range(BEGINNING):
        if arm.supervisor.state is State.HOLD:
            arm.recover()
        arm.period([arm.state()])
    for _ in range(RESTING):
        arm.period([arm.state()])
    assert arm.supervisor.state is State.ACTIVE
    return arm


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", range(21, 26))
def test_positions_do_not_throw_an_arm_that_has_only_seen_noise(seed):
    arm = rested(seed)
    assert arm.go(np.array(START_POSE) + np.random.default_rng(seed).uniform(-0.5, 0.5, 7))
    fastest = farthest = 0.0
    before = arm.plant.truth.qd
    for _ in range(MOTION):
        state = arm.state()
        arm.period([state])
        truth = arm.plant.truth
        fastest = max(fastest, float((np.abs(truth.qd - before) / arm.dt / arm.robot.acceleration_limit).max()))
        reference = arm.controller.joint_reference(seconds(state.header.stamp))
        farthest = max(farthest, float(np.abs(reference - truth.q).max()))
        before = truth.qd
    assert fastest < FASTEST
    assert farthest < FARTHEST
