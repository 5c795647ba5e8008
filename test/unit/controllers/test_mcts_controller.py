"""`control.planner: mcts` in the controller: with every interface, the same run for the same seed."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.mpc import MpcController
from mbrl_ros.types import DecisionStatus, Observation
from support.robots import planar_robot

DT, N, LAG = 0.01, 2, 0.03  # [s], joints, [s] of the servos


def run(interface, ticks=250):
    """The distance from the target over a run from nothing known, and the commands."""
    settings = {"control.rate": 1.0 / DT, "planner.horizon": 10, "control.planner": "mcts"}
    settings |= {"planner.backend": "auto", "planner.mcts.simulations": 50}
    mpc = MpcController(planar_robot(N, interface=interface), Configuration.from_flat(settings))
    q, qd, target = np.array([0.3, -0.4]), np.zeros(N), np.array([0.4, -0.3])
    distances, commands = [], []
    for k in range(ticks):
        observation = Observation(k * DT, q.copy(), qd.copy())
        if k == 0:
            mpc.reset(observation)
            mpc.set_joint_target(target, 0.0)
        decision = mpc.step(observation)
        assert decision.status is DecisionStatus.OK and np.isfinite(decision.u).all()
        assert (decision.u >= mpc.robot.command_lower).all() and (decision.u <= mpc.robot.command_upper).all()
        mpc.record(observation.stamp, decision.u)
        wanted = {
            "effort": qd + DT * (decision.u - 0.5 * qd),
            "velocity": decision.u,
            "position": (decision.u - q) / LAG,
        }
        qd_next = wanted[interface] if interface == "effort" else qd + (DT / LAG) * (wanted[interface] - qd)
        q, qd = q + 0.5 * DT * (qd + qd_next), qd_next
        distances.append(float(np.abs(q - target).max()))
        commands.append(decision.u.copy())
    return distances, commands


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_an_arm_goes_to_its_target_and_a_run_repeats(interface):
    (distances, commands), (_, again) = run(interface), run(interface)
    assert distances[-1] < 0.2 * distances[0]
    np.testing.assert_array_equal(commands, again)
