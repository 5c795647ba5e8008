"""The bound on how far an end effector reaches."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics, first_joint, longest_reach
from support.robots import lifted_arm, planar_arm

ARMS = {
    "planar": (planar_arm(3), RobotSettings(tip_offset=(0.0, 0.1, 0.0)), 1.6),
    "lifted": (lifted_arm(), RobotSettings(tip="hand"), 2.0),
    "above a lift": (lifted_arm(), RobotSettings(joints=("joint1", "joint2", "joint3"), tip="hand"), 1.5),
}


@pytest.mark.parametrize(("text", "settings", "expected"), ARMS.values(), ids=ARMS)
def test_no_posture_reaches_further(text, settings, expected):
    robot = load_robot(settings, text)
    assert longest_reach(robot) == pytest.approx(expected)
    lower, upper = np.maximum(robot.position_lower, -np.pi), np.minimum(robot.position_upper, np.pi)
    P = Kinematics(robot).positions(np.random.default_rng(0).uniform(lower, upper, (500, robot.n)))
    furthest = np.linalg.norm(P - first_joint(robot), axis=1).max()
    assert 0.5 * expected < furthest <= expected
