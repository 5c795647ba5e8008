"""Joints of another arm: measured, not controlled, and of no influence on the end effector or the own inertia."""

import numpy as np
import pytest

from mbrl_ros.collision.build import build_scene
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.controllers.factory import build_controller
from mbrl_ros.exceptions import ConfigurationError, JointNameError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.frames import RobotFrames
from mbrl_ros.robots.gravity import GravityEffort
from mbrl_ros.robots.inertia import JointSpaceInertia
from mbrl_ros.types import Observation
from support.robots import lifted_arm, two_arms

LEFT, RIGHT = (tuple(f"{side}_joint{i}" for i in (1, 2)) for side in ("left", "right"))
SETTINGS = {
    "robot.description": two_arms(),
    "robot.joints": LEFT,
    "robot.measured_joints": RIGHT,
    "robot.tip": "left_tip",
    "robot.interface": "velocity",
    "planner.horizon": 5,
    "planner.backend": "casadi",
}
CAPSULES = tuple(f"{side}_link{i} 0 0 0  0.5 0 0  0.05" for side in ("left", "right") for i in (1, 2))
HOME = np.array([0.9, 0.5])


def robot_of(**changes):
    return load_robot(Configuration.from_flat({**SETTINGS, **changes}).robot)


def test_the_other_arm_s_joints_are_measured_with_their_limits():
    robot = robot_of()
    assert robot.uncontrolled == RIGHT and robot.displacing == 0
    assert [tuple(joint) for joint in robot.watched] == [(name, -2.5, 2.5, 3.0) for name in RIGHT]
    assert "right_link2" in RobotFrames(robot).measured  # so targets may stand in its frames


def test_those_that_move_the_tip_come_first_and_are_measured_anyway():
    changes = {"robot.description": lifted_arm(), "robot.tip": "hand", "robot.joints": ("joint1", "joint2")}
    robot = robot_of(**changes, **{"robot.measured_joints": ("joint3", "lift")})
    assert robot.uncontrolled == ("lift", "joint3", "roll") and robot.watched == ()
    beside = robot_of(**{**changes, "robot.measured_joints": ("roll", "joint3"), "robot.tip": "link2"})
    assert beside.uncontrolled == ("lift", "roll", "joint3") and beside.displacing == 1
    assert beside.watched[0].upper == pytest.approx(np.pi)  # continuous


@pytest.mark.parametrize(
    "names, error, said",
    (
        (("right_joint3",), JointNameError, "right_joint2"),
        (("right_foot",), JointNameError, "movable"),
        (("left_joint1",), ConfigurationError, "is controlled"),
        (("right_joint1", "right_joint1"), ConfigurationError, "named twice"),
    ),
)
def test_a_wrong_name_says_what_is_wrong(names, error, said):
    with pytest.raises(error, match=said):
        robot_of(**{"robot.measured_joints": names})


def test_arms_on_a_fixed_base_have_no_inertia_or_weight_in_common():
    """Why a controller that does not know of the other arm's motion has nothing to learn from it."""
    both = robot_of(**{"robot.joints": (*LEFT, *RIGHT), "robot.measured_joints": (), "robot.interface": "effort"})
    M, g, rng = JointSpaceInertia(both), GravityEffort(both), np.random.default_rng(2)
    own = robot_of(**{"robot.interface": "effort"})
    for _ in range(5):
        q, elsewhere = rng.uniform(-2.0, 2.0, 4), rng.uniform(-2.0, 2.0, 2)
        inertia = np.array(M(q))
        np.testing.assert_allclose(inertia[:2, 2:], 0.0, atol=1e-12)
        np.testing.assert_allclose(inertia[:2, :2], JointSpaceInertia(own)(q[:2]), atol=1e-12)
        moved = np.concatenate((q[:2], elsewhere))
        np.testing.assert_allclose(np.array(g(q))[:2], np.array(g(moved))[:2], atol=1e-12)


def test_a_target_s_posture_does_not_depend_on_the_other_arm():
    plans = []
    for others in (np.array([0.2, 0.3]), np.array([1.5, -1.0])):
        controller = build_controller(robot_of(), Configuration.from_flat(SETTINGS))
        controller.reset(Observation(0.0, HOME, np.zeros(2), uncontrolled=others))
        controller.set_point_target(controller.target_manager.kinematics.position(HOME + 0.2))
        plans.append(
            [
                controller.step(Observation(0.01 * k, HOME, np.zeros(2), uncontrolled=others + 0.01 * k)).u
                for k in range(1, 6)
            ]
        )
        assert controller.target.kind == "point" and not controller.take_target_notes()
        assert not controller.target_manager.displaced
    np.testing.assert_array_equal(plans[0], plans[1])


@pytest.mark.parametrize("kind", ("point", "joints"))
def test_the_collision_cost_takes_the_other_arm_where_it_is(kind):
    cost = {"cost.collision.weight": 1e4, "collision.capsules": CAPSULES}
    controller = build_controller(robot_of(), Configuration.from_flat({**SETTINGS, **cost}))
    controller.reset(Observation(0.0, HOME, np.zeros(2)))
    if kind == "point":
        controller.set_point_target(controller.target_manager.kinematics.position(HOME + 0.2))
    placed = np.array([0.4, -0.7])
    for k in (1, 2):
        controller.step(Observation(0.01 * k, HOME, np.zeros(2), uncontrolled=placed))
    parameters = controller._parameters.following(controller.target_manager, 0.03)
    columns = controller.cost.layout["collision.uncontrolled"]
    np.testing.assert_array_equal(parameters[:, columns], np.tile(placed, (6, 1)))


def test_the_scene_has_the_pairs_of_both_arms():
    configuration = Configuration.from_flat({**SETTINGS, "collision.capsules": CAPSULES, "collision.samples": 300})
    scene = build_scene(robot_of(), configuration.collision).scene
    pairs = {tuple(scene.capsules[i].link for i in pair) for pair in scene.pairs}
    assert pairs == {(f"left_link{i}", f"right_link{j}") for i in (1, 2) for j in (1, 2)} - {
        ("left_link1", "right_link1")  # 1.6 m apart, 0.5 m long
    }
    far, near = np.array([1.2, 0.3]), np.array([0.1, -0.1])
    scene.place(far)
    apart = scene.values(near).min()
    scene.place(near)
    assert scene.values(near).min() < -0.05 < apart
