"""The tool's pose: forward against transforms multiplied by hand, inverse on reachable and unreachable poses."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mbrl_ros.robots import load_robot, urdf
from mbrl_ros.robots.pose_kinematics import PoseKinematics
from mbrl_ros.robots.robot import Robot
from support.packaged_robots import settings_of
from support.robots import planar_robot

SOLVED = 1e-5, 1e-4  # [m], [rad]


def panda(**settings) -> Robot:
    return load_robot(dataclasses.replace(settings_of("panda"), **settings))


def by_hand(robot: Robot, q: np.ndarray) -> np.ndarray:
    """Return the transform (4, 4) of the tool, joint by joint."""
    T = np.eye(4)
    for joint in urdf.parse(robot.urdf).chain(robot.tip):
        T = T @ joint.origin
        if joint.name in robot.joints:
            motion, at = np.eye(4), q[robot.joints.index(joint.name)]
            if joint.kind == "prismatic":
                motion[:3, 3] = at * joint.axis
            else:
                motion[:3, :3] = Rotation.from_rotvec(at * joint.axis).as_matrix()
            T = T @ motion
    tool = np.eye(4)
    tool[:3, :3], tool[:3, 3] = robot.tip_rotation, robot.tip_offset
    return T @ tool


def drawn(robot: Robot, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(robot.position_lower, robot.position_upper)


@pytest.mark.parametrize("seed", range(3))
def test_the_pose_is_that_of_the_chain_with_its_tool(seed):
    robot, rng = panda(tip_offset=(0.01, -0.02, 0.1), tip_rotation=(0.3, -0.7, 1.1)), np.random.default_rng(seed)
    kinematics = PoseKinematics(robot)
    for _ in range(20):
        q = drawn(robot, rng)
        T, (p, R) = by_hand(robot, q), kinematics.pose(q)
        np.testing.assert_allclose(p, T[:3, 3], atol=1e-9)
        np.testing.assert_allclose(R, T[:3, :3], atol=1e-9)
        np.testing.assert_allclose(kinematics.position(q), p, atol=1e-12)


def test_the_tools_rotation_is_roll_pitch_and_yaw_as_in_a_urdf():
    wanted = Rotation.from_euler("xyz", (0.3, -0.7, 1.1)).as_matrix()
    np.testing.assert_allclose(panda(tip_rotation=(0.3, -0.7, 1.1)).tip_rotation, wanted, atol=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (1.0, 1.0, 0.0), (0.5, 0.0, 1.0)])
def test_the_jacobian_of_the_residual_is_its_derivative(weights):
    robot, rng, h = panda(), np.random.default_rng(7), 1e-6
    kinematics = PoseKinematics(robot, weights)
    for _ in range(10):
        p, R = kinematics.pose(drawn(robot, rng))
        q = drawn(robot, rng)
        r, J = kinematics._residual(p, R, q)
        if np.linalg.norm(kinematics.missed(p, R, q)[1]) > 3.0:
            continue
        for j, step in enumerate(h * np.eye(robot.n)):
            ahead, back = (kinematics._residual(p, R, q + s * step)[0] for s in (1.0, -1.0))
            np.testing.assert_allclose(J[:, j], (back - ahead) / (2.0 * h), atol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_reachable_poses_are_found_within_the_limits(seed):
    robot, rng = panda(), np.random.default_rng(100 + seed)
    kinematics = PoseKinematics(robot)
    for _ in range(40):
        p, R = kinematics.pose(drawn(robot, rng))
        q, distance, angle = kinematics.inverse_pose(p, R, robot.middle)
        assert distance < SOLVED[0] and angle < SOLVED[1]
        assert (q >= robot.position_lower).all() and (q <= robot.position_upper).all()
        T = by_hand(robot, q)
        assert np.linalg.norm(T[:3, 3] - p) < SOLVED[0]
        assert np.linalg.norm(Rotation.from_matrix(T[:3, :3].T @ R).as_rotvec()) < SOLVED[1]


def test_half_a_turn_away_from_where_the_search_begins():
    robot = panda()
    kinematics = PoseKinematics(robot)
    seed = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.8, -0.8])
    p, R = kinematics.pose(seed + np.array([0, 0, 0, 0, 0, 0, np.pi]))
    _, distance, angle = kinematics.inverse_pose(p, R, seed)
    assert distance < SOLVED[0] and angle < SOLVED[1]


def test_a_free_rotation_about_the_tools_axis_makes_more_poses_reachable():
    robot = panda()
    free, full = PoseKinematics(robot, (1.0, 1.0, 0.0)), PoseKinematics(robot)
    seed = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.8, 0.8])
    p, R = full.pose(seed)
    turned = R @ Rotation.from_rotvec((0.0, 0.0, 2.0)).as_matrix()
    q, distance, angle = free.inverse_pose(p, turned, seed)
    assert distance < SOLVED[0] and angle < SOLVED[1]
    assert np.abs(q - seed).max() < 1e-6  # it points there already
    np.testing.assert_allclose(full.pose(q)[1][:, 2], turned[:, 2], atol=1e-4)


def test_an_arm_of_two_joints_says_by_how_much_it_misses_an_orientation():
    robot = planar_robot(2)
    kinematics = PoseKinematics(robot)
    p, R = kinematics.pose(np.array([0.4, 0.8]))
    tilted = R @ Rotation.from_rotvec((0.5, 0.0, 0.0)).as_matrix()
    _, distance, angle = kinematics.inverse_pose(p, tilted, np.zeros(2))
    assert max(distance / 0.2, angle) > 0.3


@pytest.mark.parametrize("seed", range(3))
def test_out_of_reach_no_posture_of_many_comes_closer_than_the_nearest_one(seed):
    robot, rng = panda(), np.random.default_rng(seed)
    kinematics = PoseKinematics(robot)
    p, R = kinematics.pose(drawn(robot, rng))
    far = p + 0.7 * p / np.linalg.norm(p)
    q, *_ = kinematics.inverse_pose(far, R, robot.middle)
    q = kinematics.nearest(far, R, q)
    assert (q >= robot.position_lower).all() and (q <= robot.position_upper).all()
    least = np.hypot(*(np.array((1.0, 0.2)) * kinematics.missed(far, R, q)))
    near = np.clip(q + 0.1 * rng.normal(size=(1000, robot.n)), robot.position_lower, robot.position_upper)
    for other in (*near, *(drawn(robot, rng) for _ in range(1000))):
        assert np.hypot(*(np.array((1.0, 0.2)) * kinematics.missed(far, R, other))) > least - 1e-6


def test_the_nearest_pose_of_an_arm_that_is_too_short_is_the_stretched_one():
    """Nothing but its direction can be kept: at a weight of 0 for the rotations that a planar arm has not."""
    kinematics = PoseKinematics(planar_robot(2), (0.0, 1.0, 0.0))
    direction = np.array((np.cos(0.4), 0.0, np.sin(0.4)))
    _, R = kinematics.pose(np.array((0.4, 0.0)))
    q, *_ = kinematics.inverse_pose(2.0 * direction, R, np.array((0.1, 0.3)))
    np.testing.assert_allclose(kinematics.pose(kinematics.nearest(2.0 * direction, R, q))[0], direction, atol=1e-3)


def test_a_posture_keeps_away_from_the_stops_where_one_near_by_does():
    """A pose after another one, both of the scenario of poses: the first joint would stand at its stop."""
    robot = panda()
    kinematics = PoseKinematics(robot)
    before = np.array([0.3545, 0.4665, -1.9815, -2.5883, 0.5361, 0.7276, 2.0108])
    p, R = kinematics.pose(np.array([2.8771, 1.296, 0.6745, -2.1484, 0.5093, 0.9019, -2.2479]))

    def left(q: np.ndarray) -> float:
        return float(np.minimum(q - robot.position_lower, robot.position_upper - q).min())

    q, *missed = kinematics.inverse_pose(p, R, before)
    assert left(q) < 0.02 and np.all(np.array(missed) < SOLVED)
    away, *missed = kinematics.inverse_pose(p, R, before, stop_distance=0.06)
    assert left(away) >= 0.06 - 1e-12 and np.all(np.array(missed) < SOLVED)
    assert np.abs(away - q).max() < 0.3  # no other way of standing there
    same, *_ = kinematics.inverse_pose(p, R, away, stop_distance=0.06)
    np.testing.assert_array_equal(same, kinematics.inverse_pose(p, R, away)[0])  # nothing to do


def test_a_posture_at_a_stop_stays_where_there_is_no_other():
    robot = planar_robot(2)
    kinematics = PoseKinematics(robot, (0.0, 1.0, 0.0))
    q = np.array([2.45, 0.4])
    found, distance, angle = kinematics.inverse_pose(*kinematics.pose(q), q + 0.001, stop_distance=0.1)
    np.testing.assert_allclose(found, q, atol=1e-4)
    assert distance < SOLVED[0] and angle < SOLVED[1]
