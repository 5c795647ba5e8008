"""Robots on a wall or a ceiling: gravity in the frame of the root link, by the URDF or by robot.gravity."""

import math

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.gravity import GravityEffort
from support.needs import needs
from support.robots import planar_arm

POSES = np.random.default_rng(0).uniform(-2.0, 2.0, (20, 3))
TILTS = [(0.0, 0.0, 0.0), (math.pi, 0.0, 0.0), (math.pi / 2, 0.0, 0.0), (0.3, -0.7, 1.1), (0.0, math.pi, 0.4)]


def turned(rpy) -> str:
    """An arm that a fixed joint from the world mounts with these angles [rad]."""
    text, angles = planar_arm(3), " ".join(map(repr, rpy))
    mount = (
        '<link name="world"/><joint name="mount" type="fixed"><parent link="world"/><child link="base"/>'
        f'<origin xyz="0 0 2" rpy="{angles}"/></joint></robot>'
    )
    return text.replace("</robot>", mount)


def told(rpy):
    """The same arm without the joint, told where gravity points."""
    cr, cp, sr, sp = math.cos(rpy[0]), math.cos(rpy[1]), math.sin(rpy[0]), math.sin(rpy[1])
    down = -9.81 * np.array([-sp, cp * sr, cp * cr])  # the last row of Rz(yaw) Ry(pitch) Rx(roll)
    return load_robot(RobotSettings(gravity=tuple(down)), planar_arm(3))


def mounted(rpy, **settings):
    """The same arm, told how it is mounted."""
    return load_robot(RobotSettings(mounting=(0.0, 0.0, 2.0, *rpy), **settings), planar_arm(3))


@pytest.mark.parametrize("rpy", TILTS)
def test_one_setting_of_the_mount_turns_gravity(rpy):
    np.testing.assert_allclose(mounted(rpy).gravity, told(rpy).gravity, atol=1e-12)
    moon = mounted(rpy, gravity=(0.0, 0.0, -1.62))
    np.testing.assert_allclose(moon.gravity, np.array(told(rpy).gravity) * 1.62 / 9.81, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "text"),
    (
        ({"mounting": (0.0, 0.0, 1.0)}, "6 entries .* or none, got 3"),
        ({"mounting": (0.0,) * 6, "mounting_frame": "base"}, "no link of the robot, got 'base'"),
        ({"mounting": (0.0,) * 6, "mounting_frame": "l/base", "frame_prefix": "l/"}, "got 'l/base'"),
        ({"mounting": (0.0,) * 6, "mounting_frame": ""}, "got ''"),
    ),
)
def test_a_mount_that_is_none_is_refused(settings, text):
    with pytest.raises(ConfigurationError, match=text):
        load_robot(RobotSettings(**settings), planar_arm(3))


@pytest.mark.parametrize("rpy", TILTS)
def test_a_mount_in_the_urdf_and_one_in_the_settings_are_the_same(rpy):
    ours, theirs = GravityEffort(told(rpy)), GravityEffort(load_robot(RobotSettings(), turned(rpy)))
    for q in POSES:
        np.testing.assert_allclose(ours(q), theirs(q), atol=1e-9)


def test_an_arm_that_hangs_is_pulled_the_other_way():
    upright, hanging = (GravityEffort(told(rpy)) for rpy in (TILTS[0], TILTS[1]))
    for q in POSES:
        np.testing.assert_allclose(hanging(q), -upright(q), atol=1e-9)


@needs("mujoco")
@pytest.mark.parametrize("rpy", TILTS)
def test_the_simulated_arm_hangs_as_the_robot_does(rpy):
    from mbrl_ros.simulation.plant import Plant

    robot = told(rpy)
    plant = Plant(PlantSettings(), robot)
    for q in POSES[:5]:
        np.testing.assert_allclose(plant.holding_effort(q), GravityEffort(robot)(q), atol=1e-6)


@needs("mujoco")
def test_the_plant_can_have_a_gravity_of_its_own():
    from mbrl_ros.simulation.plant import Plant

    plant = Plant(PlantSettings(gravity=(0.0, 0.0, 0.0)), told(TILTS[0]))
    np.testing.assert_allclose(plant.holding_effort(POSES[0]), 0.0, atol=1e-12)


@needs("adam")
@pytest.mark.parametrize("rpy", TILTS)
def test_the_rigid_body_model_knows_the_mount(rpy):
    from mbrl_ros.robots.rigid_body import gravity

    robot = told(rpy)
    model, ours = gravity(robot), GravityEffort(robot)
    for q in POSES[:5]:
        np.testing.assert_allclose(np.array(model(q)).ravel(), ours(q), atol=1e-6)


def test_a_gravity_that_is_no_vector_is_refused():
    with pytest.raises(ConfigurationError, match="'gravity' must have 3 entries"):
        load_robot(RobotSettings(gravity=(9.81,)), planar_arm(3))
