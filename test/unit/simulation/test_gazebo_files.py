"""What the files for Gazebo and ros2_control name, against what their readers know.

The names are those of the sources of gz-sim 8 and 10, sdformat 12 to 16, gz-sensors 8 and 10, ros_gz (jazzy),
gz_ros2_control (jazzy), ros2_controllers (jazzy, kilted, master), joint_state_topic_hardware_interface 1.1.0 and
mujoco_ros2_control 0.0.3. A wrong one is read by nobody, and nobody says so.
"""

import subprocess
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import yaml

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.gazebo import gazebo_urdf
from mbrl_ros.simulation.hardware import mujoco_urdf, topic_urdf
from support import ROOT
from support.needs import needs, sdf_tool
from support.robots import planar_arm, planar_robot

GAZEBO = ROOT / "config" / "gazebo"
WORLD = ElementTree.parse(GAZEBO / "world.sdf").getroot().find("world")
OFFSET = (0.02, 0.0, 0.03)

# {library: the only system in it that the world may name}
SYSTEMS = {
    "gz-sim-physics-system": "gz::sim::systems::Physics",
    "gz-sim-user-commands-system": "gz::sim::systems::UserCommands",
    "gz-sim-scene-broadcaster-system": "gz::sim::systems::SceneBroadcaster",
    "gz-sim-sensors-system": "gz::sim::systems::Sensors",
}
BRIDGED = {
    "rosgraph_msgs/msg/Clock": "gz.msgs.Clock",
    "sensor_msgs/msg/Image": "gz.msgs.Image",
    "sensor_msgs/msg/CameraInfo": "gz.msgs.CameraInfo",
}
BRIDGE_KEYS = {
    "ros_topic_name",
    "gz_topic_name",
    "ros_type_name",
    "gz_type_name",
    "direction",
    "subscriber_queue",
    "publisher_queue",
    "lazy",
}
PLUGIN_ELEMENTS = {"parameters", "controller_manager_name", "hold_joints", "position_proportional_gain", "ros"}
TOPIC_PARAMETERS = {
    "joint_commands_topic",
    "joint_states_topic",
    "trigger_joint_command_threshold",
    "sum_wrapped_joint_states",
}
MUJOCO_PARAMETERS = {
    "mujoco_model",
    "mujoco_model_topic",
    "headless",
    "pids_config_file",
    "sim_speed_factor",
    "initial_keyframe",
    "override_start_position_file",
}


def with_ball(radius: float = 0.03):
    """A planar arm whose end effector stands beside its tip link, and its URDF with a ball there."""
    robot = load_robot(RobotSettings(interface="effort", tip_offset=OFFSET), planar_arm(2))
    return robot, gazebo_urdf(robot, "/c.yaml", marker=radius)


def test_the_world_names_systems_that_there_are():
    assert {plugin.get("filename"): plugin.get("name") for plugin in WORLD.findall("plugin")} == SYSTEMS
    assert WORLD.findtext("plugin[@filename='gz-sim-sensors-system']/render_engine") == "ogre2"


def test_what_is_bridged_has_the_types_of_both_sides_and_comes_from_the_world():
    entries = yaml.safe_load((GAZEBO / "bridge.yaml").read_text())
    by_topic = {entry["gz_topic_name"].lstrip("/"): entry for entry in entries}
    for entry in entries:
        assert set(entry) <= BRIDGE_KEYS
        assert BRIDGED[entry["ros_type_name"]] == entry["gz_type_name"]
        # a name that begins with / stays out of the launch file's namespace: the time is that of all robots
        assert entry["ros_topic_name"].startswith("/") == (entry["ros_type_name"] == "rosgraph_msgs/msg/Clock")
    sensor = WORLD.find(".//sensor")
    assert by_topic[sensor.findtext("topic")]["ros_type_name"] == "sensor_msgs/msg/Image"
    assert by_topic[sensor.findtext("camera/camera_info_topic")]["ros_type_name"] == "sensor_msgs/msg/CameraInfo"


def test_gz_ros2_control_finds_what_it_reads_and_nothing_it_does_not_know():
    root = ElementTree.fromstring(gazebo_urdf(planar_robot(2), "/c.yaml", namespace="left"))
    plugin = root.find("gazebo/plugin")
    assert plugin.get("filename") == "gz_ros2_control-system"
    assert plugin.get("name") == "gz_ros2_control::GazeboSimROS2ControlPlugin"
    assert {child.tag for child in plugin} <= PLUGIN_ELEMENTS
    assert [child.tag for child in plugin.find("ros")] == ["namespace"]
    assert root.findtext("ros2_control/hardware/plugin") == "gz_ros2_control/GazeboSimSystem"
    assert root.find("ros2_control").get("type") == "system"


def test_the_controllers_have_only_parameters_that_they_declare():
    blocks = yaml.safe_load((GAZEBO / "panda_controllers.yaml").read_text())
    parameters = {name.rsplit("/", 1)[1]: block["ros__parameters"] for name, block in blocks.items()}
    manager = parameters.pop("controller_manager")
    assert manager.pop("update_rate") > 0
    assert {name: set(value) for name, value in manager.items()} == dict.fromkeys(manager, {"type"})
    assert set(parameters) <= set(manager)
    assert set(parameters["forward_command_controller"]) == {"joints", "interface_name"}


def test_the_plug_ins_of_hardware_know_their_parameters():
    for text, known in (
        (topic_urdf(planar_robot(), "/c", "/s"), TOPIC_PARAMETERS),
        (mujoco_urdf(planar_robot(), "/m.xml", headless=True), MUJOCO_PARAMETERS),
    ):
        names = {param.get("name") for param in ElementTree.fromstring(text).findall("ros2_control/hardware/param")}
        assert names and names <= known


def test_the_ball_is_seen_at_the_end_effector_and_changes_nothing_else():
    robot, text = with_ball()
    root = ElementTree.fromstring(text)
    (visual,) = root.findall("link/visual[@name='mbrl_marker']")
    (link,) = (link for link in root.findall("link") if visual in link)
    assert link.get("name") == robot.tip
    assert [float(value) for value in visual.find("origin").get("xyz").split()] == list(OFFSET)
    assert visual.find("geometry/sphere").get("radius") == "0.03"
    link.remove(visual)
    plain, left = gazebo_urdf(robot, "/c.yaml"), ElementTree.tostring(root, encoding="unicode")
    assert ElementTree.canonicalize(left, strip_text=True) == ElementTree.canonicalize(plain, strip_text=True)


@needs("gz sdf")
def test_the_converter_of_gazebo_keeps_the_ball_and_its_color(tmp_path):
    """The tip link has no mass: it is joined to the last one, with what is seen of it."""
    _, text = with_ball()
    path = tmp_path / "robot.urdf"
    path.write_text(text)
    said = subprocess.run([sdf_tool(), "sdf", "-p", path], capture_output=True, text=True, timeout=60).stdout
    model = ElementTree.fromstring(said[said.index("<sdf") :]).find("model")
    ((link, visual),) = (
        (link, visual)
        for link in model.findall("link")
        for visual in link.findall("visual")
        if visual.findtext("geometry/sphere/radius") == "0.03"
    )
    pose = np.array(visual.findtext("pose").split(), dtype=float)
    assert link.get("name") == "link2" and pose[:3] == pytest.approx((0.5 + OFFSET[0], 0.0, OFFSET[2]), abs=1e-6)
    assert visual.findtext("material/diffuse").split()[:3] == ["1", "0", "0"]


@needs("check_urdf")
def test_the_ball_is_a_urdf_that_urdfdom_reads(tmp_path):
    path = tmp_path / "robot.urdf"
    path.write_text(with_ball()[1])
    said = subprocess.run(["check_urdf", path], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0 and "Successfully Parsed XML" in said.stdout
