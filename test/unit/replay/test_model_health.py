"""What a model that is learned beside another controller tells of load, delay and errors; it commands nothing."""

import math

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.dynamics.load import LoadEstimator
from mbrl_ros.replay.health import HEALTH_FIELDS, ModelHealth
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.pose_kinematics import LEVER, PoseKinematics
from mbrl_ros.runtime.mailbox import Arrival
from mbrl_ros.types import Observation
from support.needs import needs
from support.robots import planar_arm

RATE = 200.0


def arm(interface="effort", **settings):
    return load_robot(RobotSettings(interface=interface, joints=("joint1", "joint2"), **settings), planar_arm(2))


def test_a_wrench_at_the_tip_is_what_the_hold_effort_lacks_and_a_tare_takes_it_away():
    robot = arm(tip_offset=(0.1, 0.0, 0.0))
    q, gain = np.array([0.4, -0.9]), np.array([[0.3, 0.05], [0.02, 0.4]])
    estimator, kinematics = LoadEstimator(robot, 1.0), PoseKinematics(robot)
    _, R, J = kinematics.velocity_map(q)
    J = np.concatenate((J[:3], R @ J[3:] / LEVER))
    mass = 1.3
    weight = np.concatenate((mass * np.array(robot.gravity), np.zeros(3)))
    hold = GravityEffort(robot)(q) - J.T @ weight
    change = np.array([0.02, -0.01])  # of the velocities: whatever the motion, the effort beyond it is the same
    load = estimator.update(q, hold + np.linalg.solve(gain, change), change, gain, 0.005)
    assert load.mass == pytest.approx(mass, rel=1e-6)
    # of all wrenches with this effort it is the smallest: the efforts are the same
    at_point = np.concatenate((R @ load.force, R @ (load.torque - np.cross(robot.tip_offset, load.force))))
    np.testing.assert_allclose(J.T @ at_point, J.T @ weight, rtol=1e-4, atol=1e-6)
    assert estimator.tare()
    after = estimator.update(q, hold, np.zeros(2), gain, 0.005)
    assert abs(after.mass) < 1e-9 and np.abs(after.effort).max() < 1e-9
    assert estimator.update(q, hold, np.zeros(2), np.zeros((2, 2)), 0.005) is None


@needs("mujoco")
def test_the_payload_of_an_arm_that_another_controller_moves_is_found():
    from mbrl_ros.simulation.plant import Plant

    robot = arm()
    settings = {"control.rate": RATE, "control.delay": 0.0}
    health = ModelHealth(robot, Configuration.from_flat(settings), memory=1.0, with_gravity=True)
    noise = {"position_noise": 0.0, "velocity_noise": 1e-3}
    plant = Plant(PlantSettings(rate=RATE, initial_position=(0.3, 0.4), damping=(0.1,), seed=1, **noise), robot)
    state, gravity, masses = plant.reset(), GravityEffort(robot), []
    carried = np.zeros(2)
    for k in range(1400):  # 7 s, a load of 0.5 kg after 2.5 s
        if k == 500:
            plant.set_payload(0.5)
        t = k / RATE
        wanted = np.array([0.3 + 0.1 * math.sin(2.0 * t), 0.4 + 0.1 * math.sin(3.0 * t)])
        carried += (wanted - state.q) * 40.0 / RATE
        u = gravity(state.q) + 60.0 * (wanted - state.q) - 6.0 * state.qd + carried
        u = np.clip(u, robot.command_lower, robot.command_upper)
        report = health.state(Arrival(Observation(state.stamp, state.q, state.qd), t, effort=u))
        if k == 400:
            assert health.tare()[0]
        masses.append(report.values["mass"])
        state = plant.step(u)
    assert abs(masses[490]) < 0.1 and np.array(masses[1000:]) == pytest.approx(0.5, abs=0.12)
    assert list(report.values) == list(HEALTH_FIELDS) and report.values["trust"] > 0.5
    assert report.values["prediction_error"] < 0.05 and report.values["transitions"] > 1350


def test_without_what_acts_nothing_is_learned_and_it_is_counted():
    observation = Observation(1.0, np.zeros(2), np.zeros(2))
    health = ModelHealth(arm(), Configuration(), memory=1.0, with_gravity=True)
    assert health.state(Arrival(observation, 0.0)) is None and health.events["no measured effort"] == 1
    assert health.tare() == (False, "no load has been estimated")
    health = ModelHealth(arm("velocity"), Configuration(), memory=1.0, with_gravity=True)
    assert health.state(Arrival(observation, 0.0)) is None and health.events["no command"] == 1
    health.command(np.array([0.1, math.nan]))
    health.command(np.zeros(3))
    assert health.events["commands refused"] == 2
    health.command(np.zeros(2))
    later = Observation(1.1, np.zeros(2), np.zeros(2))
    assert health.state(Arrival(later, 0.0)).load is None and not health.tare()[0]
