"""Every controller file of the package is loaded by the real controller_manager, for the robot it is written for."""

import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
import yaml

from mbrl_ros.config.resources import config_file
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.document import parsed
from mbrl_ros.simulation.hardware import add_control
from support import ROOT
from support.domains import new_domain
from support.needs import needs, present
from support.ros import Peer

if present("rclpy"):
    from std_msgs.msg import Float64MultiArray, String

    from mbrl_ros.nodes import qos

if present("ros2_control"):
    from ament_index_python.packages import get_package_prefix
    from controller_manager_msgs.srv import ListControllers

pytestmark = needs("rclpy", "ros2_control", "example-robot-data")

FILES = sorted(path for path in (ROOT / "config").rglob("*.yaml") if "controller_manager" in path.read_text())


def robot_of(path):
    """The robot of config/ whose name the file begins with."""
    values = read_settings(config_file(path.stem.partition("_")[0]))
    settings = RobotSettings(
        description=values["robot.description"],
        interface=values["robot.interface"],
        joints=tuple(values["robot.joints"]),
        tip=values.get("robot.tip", ""),
    )
    return load_robot(settings)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "config")))
def test_every_controller_of_the_file_becomes_active(path):
    robot = robot_of(path)
    root = parsed(robot.urdf)
    add_control(root, robot, (0.0,) * robot.n, name="mock", plugin="mock_components/GenericSystem")
    blocks = yaml.safe_load(path.read_text())
    (manager,) = (block["ros__parameters"] for name, block in blocks.items() if name.endswith("controller_manager"))
    names = [name for name, value in manager.items() if isinstance(value, dict) and "type" in value]
    assert names
    domain = new_domain()
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    run = f"{get_package_prefix('controller_manager')}/lib/controller_manager"
    peer, processes = Peer(domain), []
    try:
        described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        described.publish(String(data=ElementTree.tostring(root, encoding="unicode")))
        for command in (
            [f"{run}/ros2_control_node", "--ros-args", "--params-file", str(path)],
            [f"{run}/spawner", *names, "--param-file", str(path)],
        ):
            processes.append(subprocess.Popen(command, env=environment))
        peer.until(lambda: processes[1].poll() is not None, "the controllers")
        assert processes[1].returncode == 0
        client = peer.node.create_client(ListControllers, "/controller_manager/list_controllers")
        peer.until(client.service_is_ready, "the list of controllers")
        answer = client.call_async(ListControllers.Request())
        peer.until(answer.done, "the answer")
        found = {entry.name: entry for entry in answer.result().controller}
        assert {name: entry.state for name, entry in found.items()} == dict.fromkeys(names, "active")
        for name in names:
            assert found[name].type == manager[name]["type"]
        claimed = [f"{joint}/{robot.interface}" for joint in robot.joints]
        assert found["forward_command_controller"].claimed_interfaces == claimed
        peer.publisher(Float64MultiArray, "/forward_command_controller/commands")  # there is one who reads them
    finally:
        peer.close()
        for process in processes:
            process.terminate()
            process.wait(20)
