"""An arm that was thrown, after 0.8 s of one command, comes to rest under each safe effort; it is not shaken."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from support.needs import needs, present

if present("rclpy", "mujoco"):
    from mbrl_ros.bench.node.arm_in_process import ArmInProcess
    from mbrl_ros.bench.node.robot import START_POSE
    from mbrl_ros.guard.laws import make_law
    from mbrl_ros.guard.states import StateBuffer
    from mbrl_ros.safety.state_machine import Guard
    from support.guards import parameters

pytestmark = needs("rclpy", "mujoco")
RATE, THROWN, WATCHED = 100.0, 0.8, 10.0  # [Hz], [s]
RESTS = 1.0  # [rad/s] of the fastest joint in the last second; its limits are 2.2 and 2.6


def thrown(seed: int) -> "ArmInProcess":
    """A Panda that has learned in motion and then executes one effort for a while."""
    rng, arm = np.random.default_rng(seed), ArmInProcess("effort", seed, rate=RATE)
    for _ in range(200):
        arm.period([arm.state()])
    assert arm.go(np.array(START_POSE) + 0.4 * rng.choice((-1.0, 1.0), 7))
    for _ in range(60):
        arm.period([arm.state()])
    for _ in range(round(THROWN * RATE)):
        arm.plant.step(arm.heard.u)
    assert np.abs(arm.plant.truth.qd).max() > 1.0
    return arm


def fastest(arm: "ArmInProcess", speeds: list[float]) -> float:
    speeds.append(float(np.abs(arm.plant.truth.qd).max()))
    return max(speeds[-round(RATE) :])


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", (31, 32, 33))
def test_under_the_supervisors_safe_effort(seed):
    arm, speeds = thrown(seed), []
    arm.supervisor.override(Guard.LOST)
    for _ in range(round(WATCHED * RATE)):
        arm.period([arm.state()])
        last = fastest(arm, speeds)
    assert last < RESTS


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("delay", (1, 2))
@pytest.mark.parametrize("seed", (31, 32, 33))
def test_under_the_guards_whose_matrices_are_those_of_the_pose_at_which_it_began(seed, delay):
    arm, speeds, stamp = thrown(seed), [], 10.0
    robot, law = arm.robot, arm.supervisor.safe.linear_effort(arm.plant.truth.q)
    told = dataclasses.replace(
        parameters(
            robot.n, "effort", joints=tuple(robot.joints), period=arm.dt, mean=law.mean, lower=robot.command_lower,
            upper=robot.command_upper, largest_step=robot.command_upper - robot.command_lower,
            velocity=robot.velocity_limit, acceleration=robot.acceleration_limit,
            position_lower=robot.position_lower, position_upper=robot.position_upper,
        ),
        inertia=law.inertia, damping=law.damping, stiffness=law.stiffness, integral=law.integral,
    )  # fmt: skip
    states = StateBuffer(lambda message: message)
    states.configure(told)
    guard, queue = make_law(told, arm.heard.u, np.zeros(robot.n)), [arm.heard.u] * delay
    for _ in range(round(WATCHED * RATE)):
        truth, stamp = arm.plant.truth, stamp + arm.dt
        header = SimpleNamespace(stamp=SimpleNamespace(sec=int(stamp), nanosec=round(1e9 * (stamp % 1.0))))
        names, q, qd = list(robot.joints), truth.q.tolist(), truth.qd.tolist()
        states.put(SimpleNamespace(name=names, position=q, velocity=qd, header=header), stamp)
        queue.append(guard.command(arm.dt, states.newest(stamp)))
        arm.plant.step(queue.pop(0))
        last = fastest(arm, speeds)
    assert last < RESTS
