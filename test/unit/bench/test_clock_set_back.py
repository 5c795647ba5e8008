"""The robot's clock is set back right after the first commands, when it is not known yet what carries the arm."""

import numpy as np
import pytest

from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess

pytestmark = needs("rclpy", "mujoco", "example-robot-data")

LARGEST = 0.035  # [m] of the tip, where more than 0.05 is a fall; an undisturbed start sags, too


@pytest.mark.parametrize("answered", (1, 5, 20))
def test_an_arm_moved_by_efforts_hardly_sinks(answered):
    """After so many answered states the clock is set back by 100 s and goes on from there."""
    arm = ArmInProcess("effort", seed=0)
    while arm.cycle.statistics.ticks < answered:
        arm.period([arm.state()])
    tip, way = arm.plant.truth.tip.copy(), []
    arm.ahead -= 100.0
    for _ in range(200):
        arm.period([arm.state()])
        way.append(np.linalg.norm(arm.plant.truth.tip - tip))
    assert arm.gate.restarts == 1
    assert max(way) < LARGEST
