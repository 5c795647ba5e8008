"""What an arm can reach and hold, and the postures and points that are drawn from it."""

import numpy as np
import pytest

from mbrl_ros.config.sections.references import ReferenceSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.references.trajectory import joint_reference
from mbrl_ros.references.workspace import CLOSEST, FURTHEST, NEAR_BASE, NEAR_FLOOR, Workspace, starting_posture
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.gravity import GravityEffort
from support.robots import planar_arm, planar_robot


def workspace(robot, seed=0):
    return Workspace(robot, GravityEffort(robot), np.random.default_rng(seed))


def test_the_reach_of_an_arm_is_that_of_its_stretched_links():
    assert workspace(planar_robot(3)).reach == pytest.approx(1.5, rel=0.05)
    assert workspace(planar_robot(3, length=0.05)).reach == pytest.approx(0.15, rel=0.05)


def test_a_point_it_goes_to_is_neither_near_nor_far_and_is_there_in_time():
    robot = planar_robot(3, effort=60.0)
    work, reference = workspace(robot), joint_reference(robot, ReferenceSettings(), 0.01)
    q, gone = np.array([0.4, -1.0, 0.8]), 0
    here = work.kinematics.position(q)
    for p in work.cloud[:300]:
        there = work.go(q, p, reference, 1.5)
        if there is not None:
            gone += 1
            assert CLOSEST * work.reach <= np.linalg.norm(p - here) <= FURTHEST * work.reach
            np.testing.assert_allclose(work.kinematics.position(there), p, atol=2e-5)
            reference.reset(q, 0.0)
            reference.go_to(there, 0.0)
            assert reference.end <= 1.5 and work.usable(there)
    assert 10 < gone < 290


def test_what_is_clear_lies_beside_the_base_and_on_the_side_where_the_arm_is():
    upright = load_robot(RobotSettings(), planar_arm(2))
    raised = planar_arm(2).replace('<parent link="base"/>', '<parent link="base"/><origin xyz="0 0 HEIGHT"/>', 1)
    raised = raised.replace('\n    <origin xyz="0 0 0"/>', "", 1)
    for height, side in ((0.5, 1.0), (-0.5, -1.0)):
        work = workspace(load_robot(RobotSettings(), raised.replace("HEIGHT", str(height))))
        far = 0.5 * work.reach
        assert work.clear(np.array([far, 0.0, side * far])) and not work.clear(np.array([far, 0.0, -side * far]))
        assert not work.clear(np.array([0.9 * NEAR_BASE * work.reach, 0.0, side * far]))
        assert not work.clear(np.array([far, 0.0, 0.9 * side * NEAR_FLOOR * work.reach]))
    ahead = np.array([0.5, 0.0, 0.5])
    assert workspace(upright, 1).clear(ahead) == workspace(upright, 2).clear(ahead)  # whatever is drawn


def test_a_starting_posture_is_held_easily_with_its_tip_free_and_always_the_same():
    robot = planar_robot(3, effort=15.0)  # stretched out it weighs 22 N m at the first joint
    work, start = workspace(robot), starting_posture(robot)
    assert work.usable(start) and np.array_equal(start, starting_posture(robot))
    jacobian = work.kinematics.jacobian(start)[[0, 2]]
    assert np.linalg.svd(jacobian, compute_uv=False)[-1] > 0.2 * work.reach
    np.testing.assert_array_equal(start, np.round(start, 2))


def test_an_arm_that_cannot_hold_itself_has_no_posture_to_start_from():
    with pytest.raises(ConfigurationError, match="none of .* postures can be held"):
        starting_posture(planar_robot(3, effort=0.01))
