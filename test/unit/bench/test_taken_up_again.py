"""An arm that was stopped in mid-motion and is taken up again goes on from the effort that carries it."""

import numpy as np
import pytest

from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.bench.node.robot import START_POSE
    from mbrl_ros.safety.state_machine import Request, State

pytestmark = needs("rclpy", "mujoco")
RATE, STOPPED, TIMES = 100, 2.0, 6  # [Hz], [s]


def pass_time(arm: "ArmInProcess", seconds: float) -> tuple[float, float]:
    """Let the arm live; return the largest change of an effort in a period [N m] and the fastest joint [rad/s]."""
    change = speed = 0.0
    for _ in range(round(seconds * RATE)):
        before = arm.heard.u.copy() if arm.heard.commands else np.zeros(arm.robot.n)
        arm.period([arm.state()])
        change = max(change, float(np.abs(arm.heard.u - before).max()))
        speed = max(speed, float(np.abs(arm.plant.truth.qd).max()))
    return change, speed


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", (0, 4))
def test_after_an_emergency_stop_in_motion_nothing_leaps(seed):
    """Meanwhile the plan wants the target that it had, with all the effort there is; the arm is at rest."""
    rng, arm = np.random.default_rng(5), ArmInProcess("effort", seed, rate=RATE)
    pass_time(arm, 1.0)
    arm.recover()
    for _ in range(TIMES):
        assert arm.go(np.array(START_POSE) + 0.4 * rng.choice((-1.0, 1.0), 7))
        pass_time(arm, float(rng.uniform(0.3, 0.9)))
        arm.cycle.request(Request.E_STOP)
        pass_time(arm, STOPPED)
        arm.cycle.request(Request.CLEAR)
        at_hold, drift = pass_time(arm, 0.3)
        arm.cycle.request(Request.RESUME)
        resumed, speed = pass_time(arm, 0.3)
        assert arm.supervisor.state is State.ACTIVE
        assert max(at_hold, resumed) < 8.0 and max(drift, speed) < 0.15
