"""Where the links are, against the kinematics of the planner."""

import numpy as np
import pytest

from mbrl_ros.robots import urdf
from mbrl_ros.robots.kinematics import Kinematics
from mbrl_ros.view.link_poses import LinkPoses
from support.robots import planar_robot

SLIDER = """<robot name="r"><link name="base"/><link name="a"/><link name="b"/>
<joint name="turn" type="continuous"><parent link="base"/><child link="a"/>
  <origin xyz="1 0 0" rpy="0 0 1.5707963267948966"/><axis xyz="1 0 0"/></joint>
<joint name="slide" type="prismatic"><parent link="a"/><child link="b"/><origin xyz="0 0 0.5"/><axis xyz="0 0 1"/>
  <limit lower="0" upper="1" velocity="1" effort="1"/></joint></robot>"""


def test_the_tip_is_where_the_kinematics_say():
    robot = planar_robot()
    poses, kinematics = LinkPoses(urdf.parse(robot.urdf)), Kinematics(robot)
    for q in np.random.default_rng(5).uniform(-3.0, 3.0, (20, 2)):
        T = poses.at(dict(zip(robot.joints, q, strict=True)))[robot.tip]
        np.testing.assert_allclose(T[:3, :3] @ robot.tip_offset + T[:3, 3], kinematics.position(q), atol=1e-12)


def test_turning_and_sliding_joints_have_their_motion():
    T = LinkPoses(urdf.parse(SLIDER)).at({"turn": np.pi / 2, "slide": 0.25})["b"]
    # the joint turns about x of its frame, which is y of the base: z of the frame comes to lie along x
    np.testing.assert_allclose(T[:3, 3], [1.75, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(T[:3, 2], [1.0, 0.0, 0.0], atol=1e-12)


def test_a_joint_that_follows_another_moves_with_it():
    tree = urdf.parse(
        SLIDER.replace('<axis xyz="0 0 1"/>', '<axis xyz="0 0 1"/><mimic joint="turn" multiplier="2" offset="1"/>')
    )
    poses = LinkPoses(tree)
    np.testing.assert_allclose(poses.at({"turn": 0.0})["b"][:3, 3], [1.0, 0.0, 1.5], atol=1e-12)
    T = poses.at({"turn": np.pi / 2})["b"]
    np.testing.assert_allclose(T[:3, 3], [1.0 + 0.5 + 1.0 + np.pi, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(
        poses.at({"turn": 0.0, "slide": 0.1})["b"][:3, 3], [1.0, 0.0, 0.6], atol=1e-12
    )  # measured


@pytest.mark.parametrize("positions", ({}, {"turn": np.nan, "of another robot": 1.0}))
def test_what_is_not_known_stands_at_zero(positions):
    T = LinkPoses(urdf.parse(SLIDER)).at(positions)["b"]
    np.testing.assert_allclose(T[:3, 3], [1.0, 0.0, 0.5], atol=1e-12)
