"""The simulated robot as hardware of ros2_control: its <ros2_control> block, and the MJCF with motors."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot, urdf
from mbrl_ros.simulation.hardware import MUJOCO_SYSTEM, TOPIC_SYSTEM, mujoco_urdf, topic_urdf
from support.needs import needs, present
from support.robots import planar_robot

if present("mujoco"):
    import mujoco

    from mbrl_ros.simulation.mjcf_file import write_mjcf
    from mbrl_ros.simulation.plant import Plant

START = (0.1, -0.2)


def hardware(text: str) -> tuple[str, dict[str, str], list[ElementTree.Element]]:
    """The plug-in, its parameters and the joints of the only <ros2_control> block."""
    (control,) = ElementTree.fromstring(text).findall("ros2_control")
    parameters = {param.get("name"): param.text for param in control.findall("hardware/param")}
    return control.findtext("hardware/plugin"), parameters, control.findall("joint")


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_every_joint_is_commanded_by_the_robot_s_interface_and_tells_its_state(interface):
    robot = planar_robot(interface=interface)
    text = topic_urdf(robot, "/c", "/s", START)
    plugin, parameters, joints = hardware(text)
    assert plugin == TOPIC_SYSTEM
    assert parameters == {
        "joint_commands_topic": "/c",
        "joint_states_topic": "/s",
        "trigger_joint_command_threshold": "-1",  # every command, also one that is near the measured effort
    }
    assert [joint.get("name") for joint in joints] == list(robot.joints)
    for joint, start, low, high in zip(joints, START, robot.command_lower, robot.command_upper, strict=True):
        (command,) = joint.findall("command_interface")
        assert command.get("name") == interface
        assert [float(param.text) for param in command] == [low, high]
        assert [state.get("name") for state in joint.findall("state_interface")] == ["position", "velocity", "effort"]
        assert float(joint.findtext("state_interface/param")) == start
    assert [joint.name for joint in urdf.parse(text).joints if joint.movable] == list(robot.joints)


def test_the_block_of_mujoco_names_its_model():
    plugin, parameters, _ = hardware(mujoco_urdf(planar_robot(), "/m.xml", headless=True))
    assert plugin == MUJOCO_SYSTEM and parameters == {"mujoco_model": "/m.xml", "headless": "true"}


def test_the_block_of_the_real_robot_is_replaced():
    robot = planar_robot()
    once = topic_urdf(robot, "/c", "/s")
    again = mujoco_urdf(load_robot(RobotSettings(interface="effort"), once), "/m.xml")
    assert hardware(again)[0] == MUJOCO_SYSTEM


@pytest.mark.parametrize(
    "start, words", (((0.1,), "must have 2 entries"), ((0.1, 9.0), "of joint2 is 9, at its stops"))
)
def test_a_start_that_does_not_fit_is_refused(start, words):
    with pytest.raises(ConfigurationError, match=words):
        topic_urdf(planar_robot(), "/c", "/s", start)


@needs("mujoco")
def test_the_mjcf_moves_as_sim_node_does(tmp_path):
    robot, u = planar_robot(), np.array([3.0, -1.0])
    exact = {"initial_noise": 0.0, "position_noise": 0.0, "velocity_noise": 0.0, "command_delay": 0.0}
    settings = PlantSettings(rate=100.0, initial_position=START, damping=(0.1,), **exact)
    write_mjcf(robot, settings, tmp_path / "robot.xml")
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "robot.xml"))
    assert [model.actuator(i).name for i in range(model.nu)] == list(robot.joints)
    assert model.actuator_ctrlrange == pytest.approx(np.column_stack((robot.command_lower, robot.command_upper)))
    data = mujoco.MjData(model)
    data.qpos[:], data.ctrl[:] = START, u
    plant = Plant(settings, robot)
    plant.reset()
    for _ in range(20):
        plant.step(u)
        mujoco.mj_step(model, data, round(plant.period / model.opt.timestep))
    assert np.abs(plant.truth.qd).min() > 0.1
    assert data.qpos == pytest.approx(plant.truth.q, abs=1e-5) and data.qvel == pytest.approx(plant.truth.qd, abs=1e-4)


@needs("mujoco")
def test_servos_are_not_guessed(tmp_path):
    with pytest.raises(ConfigurationError, match="servos need gains of their own"):
        write_mjcf(planar_robot(interface="velocity"), PlantSettings(), tmp_path / "robot.xml")
