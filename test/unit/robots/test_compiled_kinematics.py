"""The end effector in many poses by one compiled call: CasADi's function is the specification."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.robots import compiled_kinematics, load_robot
from mbrl_ros.robots import kinematics as module
from mbrl_ros.robots.kinematics import Kinematics
from support.robots import lifted_arm, planar_robot

PANDA = RobotSettings(description="package-data:panda", joints=tuple(f"panda_joint{i}" for i in range(1, 8)))
LIFTED = RobotSettings(description="", joints=("joint1", "joint2", "joint3"), tip="hand", interface="velocity")
needs_compiler = pytest.mark.skipif(compiled_kinematics.library() is None, reason="nothing compiles here")


def follower():
    """A forearm that follows the shoulder, after a slide along a skew axis."""
    limit = '<limit lower="-3" upper="3" velocity="3" effort="60"/>'
    text = f"""<robot name="r"><link name="a"/><link name="b"/><link name="c"/><link name="d"/><link name="e"/>
    <joint name="slide" type="prismatic"><parent link="a"/><child link="b"/><axis xyz="0.6 0 0.8"/>
      <origin xyz="0.1 0.2 0.3" rpy="0.4 -0.5 0.6"/>{limit}</joint>
    <joint name="shoulder" type="revolute"><parent link="b"/><child link="c"/><axis xyz="0 0.8 -0.6"/>{limit}</joint>
    <joint name="elbow" type="revolute"><parent link="c"/><child link="d"/><origin xyz="0.7 0 0" rpy="1 2 3"/>
      <axis xyz="1 0 0"/><mimic joint="shoulder" multiplier="-1.5" offset="0.3"/>{limit}</joint>
    <joint name="fixed" type="fixed"><parent link="d"/><child link="e"/><origin xyz="0 0.5 0.1"/></joint></robot>"""
    return load_robot(RobotSettings(joints=("slide", "shoulder"), tip="e", interface="velocity"), text)


ROBOTS = {
    "panda": lambda: load_robot(PANDA),
    "planar": lambda: planar_robot(3),
    "lifted": lambda: load_robot(LIFTED, lifted_arm()),
    "follower": follower,
}


@needs_compiler
@pytest.mark.parametrize("name", ROBOTS)
@pytest.mark.parametrize("count", [1, 2, 31])
def test_positions_are_those_of_the_specification(name, count):
    robot, rng = ROBOTS[name](), np.random.default_rng(count)
    kinematics = Kinematics(robot)
    compiled, wanted = kinematics.position_map(count), kinematics._interpreted_map(count)
    assert isinstance(compiled, compiled_kinematics.CompiledPositions)
    for scale in (1.0, 50.0):
        kinematics.place(rng.uniform(-1.0, 1.0, len(robot.uncontrolled)))
        Q = scale * rng.uniform(-3.0, 3.0, (count, robot.n))
        np.testing.assert_allclose(compiled(Q), wanted(Q), rtol=0.0, atol=3e-15 * (1.0 + scale))


@needs_compiler
def test_a_pose_that_is_not_finite_spoils_no_other():
    kinematics = Kinematics(load_robot(PANDA))
    compiled, Q = kinematics.position_map(6), np.random.default_rng(0).uniform(-2.0, 2.0, (6, 7))
    before = compiled(Q).copy()
    Q[2, 3], Q[5] = np.nan, 1e9
    after = compiled(Q)
    assert np.isnan(after[2]).all() and np.isfinite(after[5]).all()
    np.testing.assert_allclose(after[[0, 1, 3, 4]], before[[0, 1, 3, 4]], rtol=0.0, atol=1e-15)


def test_where_nothing_compiles_the_specification_is_used(monkeypatch):
    monkeypatch.setattr(module, "library", lambda: None)
    kinematics, Q = Kinematics(load_robot(PANDA)), np.random.default_rng(0).uniform(-2.0, 2.0, (3, 7))
    np.testing.assert_allclose(kinematics.position_map(3)(Q), kinematics.positions(Q), atol=1e-15)
