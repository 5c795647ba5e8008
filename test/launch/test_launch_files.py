"""Launch files and what they hand to Gazebo, read by the tools that will read them, where those are installed."""

import os
import re
import shlex
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from mbrl_ros.config.resources import config_file
from mbrl_ros.config.sections.control import ControlSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.robots import load_robot, urdf
from mbrl_ros.simulation.gazebo import check_controllers, gazebo_urdf
from support import ROOT
from support.domains import new_domain
from support.launching import JOINTS, PERIOD, Launched, launch_file, planar_parameters
from support.needs import needs, sdf_tool
from support.robots import planar_arm, planar_robot

LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
GAZEBO = ROOT / "config" / "gazebo"
real_launch = needs("launch_ros", "package mbrl_ros", "rclpy")


def output_of(*command: object) -> str:
    """Output of a checking tool, which must be content."""
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "Error" not in result.stdout + result.stderr, result.stdout + result.stderr
    return result.stdout


@needs("launch_ros")
@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_launch_argument_is_described(path):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    own = get_launch_description_from_python_launch_file(str(path)).entities
    arguments = [entity for entity in own if type(entity).__name__ == "DeclareLaunchArgument"]
    assert arguments and all(len(argument.description) > 10 for argument in arguments)


@needs("launch_ros")
@pytest.mark.parametrize("code, guarded", ((-9, True), (-15, True), (1, True), (2, False), (0, False)))
def test_the_guard_goes_on_where_mpc_node_was_killed_or_broke_off(code, guarded):
    """Exit code 1 is that of an error of Python in mid-motion; with 2 it could not start, and nothing moves."""
    from launch.actions import LogInfo, Shutdown

    from mbrl_ros.nodes import launching

    event = SimpleNamespace(returncode=code, process_name="mpc_node-1", cmd=["mpc_node"])
    context = SimpleNamespace(is_shutdown=False, launch_configurations={})
    if code == 2:
        with pytest.raises(launching.LaunchError, match="exit code 2"):
            launching.left_to_guard(event, context)
        return
    (action,) = launching.left_to_guard(event, context)
    assert isinstance(action, LogInfo if guarded else Shutdown)


@needs("launch_ros")
@pytest.mark.parametrize("code, goes_on", ((-9, True), (-15, True), (1, True), (2, False), (0, False)))
def test_mpc_node_goes_on_where_its_guard_was_killed_or_broke_off(code, goes_on):
    from launch.actions import LogInfo

    from mbrl_ros.nodes import launching

    one, other = (["guard_node", "--ros-args", "-r", f"__ns:=/{name}"] for name in ("left", "right"))
    context = SimpleNamespace(is_shutdown=False, launch_configurations={})
    event = SimpleNamespace(returncode=code, process_name="guard_node-1", cmd=one)
    if not goes_on:
        with pytest.raises(launching.LaunchError, match=f"exit code {code} before the others"):
            launching.left_to_controller(event, context)
        return
    (action,) = launching.left_to_controller(event, context)
    assert isinstance(action, LogInfo)
    (action,) = launching.left_to_controller(event, context)  # a guard that was started again
    assert isinstance(action, LogInfo)
    killed = SimpleNamespace(returncode=-9, process_name="mpc_node-2", cmd=other)  # of the other arm
    (action,) = launching.left_to_guard(killed, context)
    assert isinstance(action, LogInfo)
    killed.cmd = one
    with pytest.raises(launching.LaunchError, match="mpc_node has ended with exit code -9"):
        launching.left_to_guard(killed, context)


def test_gazebo_gets_the_same_mechanism_with_every_joint_commanded():
    robot = planar_robot(3)
    text = gazebo_urdf(robot, "/c.yaml", initial_position=[0.1, 0.2, 0.3], namespace="left")
    tree = urdf.parse(text)
    assert tree.root == "world" and [joint.name for joint in tree.joints if joint.movable] == list(robot.joints)
    root = ElementTree.fromstring(text)
    joints = root.findall("ros2_control/joint")
    assert [joint.get("name") for joint in joints] == list(robot.joints)
    for joint, start in zip(joints, ("0.1", "0.2", "0.3"), strict=True):
        assert joint.find("command_interface").get("name") == "effort"
        assert [param.text for param in joint.findall("command_interface/param")] == [
            "-20.0",
            "20.0",
        ]  # planar_arm's effort
        assert [state.get("name") for state in joint.findall("state_interface")] == ["position", "velocity", "effort"]
        assert joint.find("state_interface/param").text == start
    assert root.findtext("gazebo/plugin/parameters") == "/c.yaml"
    assert root.findtext("gazebo/plugin/ros/namespace") == "left"


def test_a_mesh_that_is_nowhere_is_left_out_and_one_that_is_there_is_named_in_full(tmp_path):
    (tmp_path / "part.stl").touch()
    shapes = "".join(
        f'<visual><geometry><mesh filename="{name}"/></geometry></visual>'
        for name in ("part.stl", "package://no_such_package/part.stl")
    )
    urdf = planar_arm(1).replace('<link name="tip"/>', f'<link name="tip">{shapes}</link>')
    text = gazebo_urdf(load_robot(RobotSettings(), urdf), "/c.yaml", folder=tmp_path)
    assert re.findall('mesh filename="(.*?)"', text) == [f"file://{tmp_path.resolve()}/part.stl"]


def test_a_start_of_the_wrong_length_is_refused():
    with pytest.raises(ConfigurationError, match="must have 2 entries"):
        gazebo_urdf(planar_robot(2), "/c.yaml", initial_position=[0.1])


@needs("check_urdf")
def test_check_urdf_accepts_the_robot(tmp_path):
    path = tmp_path / "robot.urdf"
    path.write_text(gazebo_urdf(planar_robot(2), "/c.yaml"))
    assert "Successfully Parsed XML" in output_of("check_urdf", path)


@needs("gz sdf")
def test_gazebo_accepts_the_world():
    output_of(sdf_tool(), "sdf", "-k", GAZEBO / "world.sdf")


@needs("gz sdf")
def test_gazebo_makes_a_model_with_every_joint_of_the_robot(tmp_path):
    robot = planar_robot(2)
    path = tmp_path / "robot.urdf"
    path.write_text(gazebo_urdf(robot, "/c.yaml"))
    output_of(sdf_tool(), "sdf", "-k", path)
    text = output_of(sdf_tool(), "sdf", "-p", path)
    model = ElementTree.fromstring(text[text.index("<sdf") :]).find("model")
    moving = [joint.get("name") for joint in model.findall("joint") if joint.get("type") == "revolute"]
    assert moving == list(robot.joints)


def test_a_root_without_mass_is_given_one_and_a_root_with_mass_keeps_it():
    """Gazebo's converter leaves out a link without mass, and with the root the whole robot."""
    weighed = '<link name="base"><inertial><mass value="7"/><inertia ixx="1" iyy="1" izz="1"/></inertial></link>'
    for base, mass in (('<link name="base"/>', "1.0"), (weighed, "7")):
        urdf = planar_arm(1).replace('<link name="base"/>', base)
        root = ElementTree.fromstring(gazebo_urdf(load_robot(RobotSettings(), urdf), "/c.yaml"))
        masses = {
            link.get("name"): [m.get("value") for m in link.findall("inertial/mass")] for link in root.iter("link")
        }
        assert masses["base"] == [mass] and masses["world"] == []


def test_the_world_has_what_the_bridge_hands_over():
    bridge = yaml.safe_load((GAZEBO / "bridge.yaml").read_text())
    for entry in bridge:
        assert set(entry) == {"ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name", "direction"}
        assert entry["direction"] == "GZ_TO_ROS" and re.fullmatch(r"\w+/msg/\w+", entry["ros_type_name"])
    topics = {entry["gz_topic_name"] for entry in bridge}
    world = ElementTree.parse(GAZEBO / "world.sdf").getroot().find("world")
    assert "/clock" in topics and world.findtext(".//sensor/topic") in topics
    systems = {plugin.get("name") for plugin in world.findall("plugin")}
    assert {"gz::sim::systems::Physics", "gz::sim::systems::UserCommands", "gz::sim::systems::Sensors"} <= systems


def test_ros2_control_has_the_joints_the_interface_and_the_rate_of_the_controller():
    controllers = {
        name.rsplit("/", 1)[1]: block["ros__parameters"]
        for name, block in yaml.safe_load((GAZEBO / "panda_controllers.yaml").read_text()).items()
    }
    settings = read_settings(config_file("panda"))
    forward = controllers["forward_command_controller"]
    assert forward["joints"] == settings["robot.joints"] and forward["interface_name"] == settings["robot.interface"]
    rate = settings.get("control.rate", ControlSettings().rate)
    assert controllers["controller_manager"]["update_rate"] == rate


FORWARD = "forward_command_controller"
GAZEBO_PROGRAMS = {
    "ros_gz_sim": "create",
    "ros_gz_bridge": "parameter_bridge",
    "controller_manager": "spawner",
    "robot_state_publisher": "robot_state_publisher",
}


RVIZ_PROGRAMS = {"rviz2": "rviz2", "robot_state_publisher": "robot_state_publisher"}


def controllers(folder: Path, **changes) -> Path:
    """The file of the ros2_control controllers of the planar arm, with other values for the forward controller."""
    blocks = {
        "controller_manager": {"update_rate": round(1.0 / PERIOD)},
        "forward_command_controller": {"joints": JOINTS, "interface_name": "effort", **changes},
    }
    path = folder / "controllers.yaml"
    path.write_text(yaml.safe_dump({f"/**/{name}": {"ros__parameters": block} for name, block in blocks.items()}))
    return path


@real_launch
def test_gazebo_s_controllers_are_not_active_before_mpc_node_knows_them(tmp_path, monkeypatch):
    """Here nobody executes commands, and the controllers are configured and stay inactive.

    With a marker the robot has a ball, and feature_node searches it in the images.
    """
    world = tmp_path / "a world" / "world.sdf"
    said = launched_with_substitutes(
        tmp_path,
        monkeypatch,
        "gazebo.launch.py",
        GAZEBO_PROGRAMS,
        params_file=planar_parameters(tmp_path),
        controllers_file=str(controllers(tmp_path)),
        namespace="left",
        headless="true",
        marker="0.03",
        world=str(world),
        words="waiting until",
    )
    assert "-topic robot_description -name left_robot" in said["create"]
    assert "forward_command_controller joint_state_broadcaster" in said["spawner"] and "--inactive" in said["spawner"]
    assert "gz_ros2_control" in said["robot_state_publisher"] and "bridge.yaml" in said["parameter_bridge"]
    assert "<hold_joints>true</hold_joints>" in said["robot_state_publisher"]
    assert shlex.split(said["gz_sim"]) == ["-r", "-s", "--headless-rendering", str(world)]  # a shell reads them
    assert re.search(r"sphere radius=\W+0\.03\W", said["robot_state_publisher"])
    log = said["launch"]
    assert "[feature_node" in log
    assert "waiting until /left/mpc_node can command" in log and "active: forward" not in log


@real_launch
def test_gazebo_without_its_packages_leaves_nothing_behind(tmp_path):
    """What is missing is named before any process starts: no controller without a robot that goes on for ever."""
    launched = Launched(launch_file("gazebo.launch.py"), new_domain())
    assert launched.wait() == 1
    assert "these packages are not installed: ros_gz_sim, ros_gz_bridge" in launched.output
    assert "process started" not in launched.output


@pytest.mark.parametrize(
    "changes, words",
    (
        (
            {"interface_name": "velocity"},
            "'interface_name' of /left/forward_command_controller is velocity, but robot",
        ),
        ({"joints": JOINTS[::-1]}, r"'joints' of .* is \['joint2', 'joint1'\], but robot.joints of the robot is"),
        ({"joints": None}, "'joints'"),
    ),
)
def test_gazebo_s_controllers_must_be_those_of_the_robot(tmp_path, changes, words):
    with pytest.raises(ConfigurationError, match=words):
        check_controllers(
            controllers(tmp_path, **changes),
            planar_robot(2),
            100.0,
            forward="forward_command_controller",
            namespace="left",
        )
    check_controllers(controllers(tmp_path), planar_robot(2), 100.0, forward=FORWARD, namespace="left")
    with pytest.raises(ConfigurationError, match="'update_rate' of /controller_manager is 100, but control.rate"):
        check_controllers(controllers(tmp_path), planar_robot(2), 200.0, forward=FORWARD)


def test_a_start_at_the_stops_is_refused():
    with pytest.raises(ConfigurationError, match="'plant.initial_position' of joint2 is 9, at its stops or beyond"):
        gazebo_urdf(planar_robot(2), "/c.yaml", initial_position=[0.1, 9.0])


@real_launch
@pytest.mark.parametrize("hardware", ("topics", "mujoco"))
def test_a_simulated_robot_is_hardware_of_ros2_control(tmp_path, monkeypatch, hardware):
    """The spawner comes before the controllers can be active; here nobody executes commands."""
    plugin, package = {
        "topics": (
            "joint_state_topic_hardware_interface/JointStateTopicSystem",
            "joint_state_topic_hardware_interface",
        ),
        "mujoco": ("mujoco_ros2_control/MujocoSystemInterface", "mujoco_ros2_control"),
    }[hardware]
    manager = "controller_manager" if hardware == "topics" else package
    substitute(tmp_path, package, "ros2_control_node")
    substitute(tmp_path, manager, "ros2_control_node")
    said = launched_with_substitutes(
        tmp_path,
        monkeypatch,
        "hardware.launch.py",
        {"controller_manager": "spawner", "robot_state_publisher": "robot_state_publisher"},
        params_file=planar_parameters(tmp_path),
        controllers_file=str(controllers(tmp_path)),
        hardware=hardware,
        headless="true",
        words="waiting until",
    )
    assert plugin in said["robot_state_publisher"] and "ros2_control_node" in said
    assert "forward_command_controller joint_state_broadcaster" in said["spawner"] and "--inactive" in said["spawner"]
    assert ("[sim_node" in said["launch"]) == (hardware == "topics")
    model = re.search(r"mujoco_model\S*>(\S+robot\.xml)<", said["robot_state_publisher"])
    assert (model is not None) == (hardware == "mujoco")
    if model:  # it stays with the log, and nothing is left elsewhere
        (logs,) = re.findall("All log files can be found below (.*)", said["launch"])
        assert Path(model[1]).parent == Path(logs)


@real_launch
def test_rviz_is_started_with_the_robot_and_its_frame(tmp_path, monkeypatch):
    said = launched_with_substitutes(
        tmp_path,
        monkeypatch,
        "rviz.launch.py",
        RVIZ_PROGRAMS,
        words="drag the interactive markers of /left/display_node/target",
        namespace="left",
    )
    assert "mpc.rviz -f panda_link0" in said["rviz2"] and "__ns:=/left" in said["rviz2"]
    assert "file:///" in said["robot_state_publisher"] and "package://" not in said["robot_state_publisher"]


@real_launch
def test_rviz_takes_the_robot_from_the_topic_where_its_driver_publishes_the_description(tmp_path, monkeypatch):
    path = tmp_path / "robot.yaml"
    path.write_text("/**: {ros__parameters: {robot: {joints: [joint1, joint2], interface: effort}}}")
    said = launched_with_substitutes(
        tmp_path,
        monkeypatch,
        "rviz.launch.py",
        {"rviz2": "rviz2"},
        params_file=str(path),
        frame="base_link",
        target="off",
    )
    assert "display_node" not in said["launch"]
    assert set(said) == {"rviz2", "launch"} and "mpc.rviz -f base_link" in said["rviz2"]


def launched_with_substitutes(
    prefix: Path, monkeypatch, name: str, executables: dict[str, str], words: str = "", **arguments: str
) -> dict:
    """Run a shipped launch file until substitutes for `executables` ran and `words` were said.

    Of {package: name} it returns {name: its arguments}, and what the launch has said.
    """
    install_substitutes(prefix, monkeypatch, executables)
    wanted = {f"{executable}.said" for executable in executables.values()}
    launched = Launched(launch_file(name), new_domain(), **arguments)
    try:
        launched.until(lambda: wanted <= {path.name for path in prefix.glob("*.said")}, f"{sorted(wanted)}")
        launched.until(lambda: words in launched.output, words)
    finally:
        launched.close()
    assert launched.wait() == 0, launched.output
    return {path.stem: path.read_text() for path in prefix.glob("*.said")} | {"launch": launched.output}


def install_substitutes(prefix: Path, monkeypatch, executables: dict[str, str]) -> None:
    """Make packages of `executables` {package: name}, and a simulator, in a prefix that comes first."""
    for package, executable in executables.items():
        substitute(prefix, package, executable)
    (prefix / "share/ros_gz_sim/launch").mkdir(parents=True)
    (prefix / "share/ros_gz_sim/launch/gz_sim.launch.py").write_text(SIMULATOR.format(prefix=prefix))
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}")


@real_launch
@pytest.mark.parametrize("part", ("gazebo", "robot_state_publisher", "parameter_bridge"))
def test_a_part_of_gazebo_that_dies_ends_the_launch_with_a_code(tmp_path, monkeypatch, part):
    install_substitutes(tmp_path, monkeypatch, GAZEBO_PROGRAMS)
    arguments = {"params_file": planar_parameters(tmp_path), "controllers_file": controllers(tmp_path)}
    launched = Launched(launch_file("gazebo.launch.py"), new_domain(), **arguments)
    try:
        launched.process("mpc_node")
        os.kill(launched.process(part), signal.SIGKILL)
        assert launched.wait() == 1
        assert re.search(rf"{part} has ended with exit code -9.*; it was asked for", launched.output)
    finally:
        launched.close()


@real_launch
@pytest.mark.parametrize("part", ("rviz2", "robot_state_publisher"))
def test_a_part_of_rviz_that_dies_ends_the_launch_with_a_code(tmp_path, monkeypatch, part):
    install_substitutes(tmp_path, monkeypatch, RVIZ_PROGRAMS)
    launched = Launched(launch_file("rviz.launch.py"), new_domain(), params_file=planar_parameters(tmp_path))
    try:
        launched.process("rviz2")
        os.kill(launched.process(part), signal.SIGKILL)
        assert launched.wait() == 1
        assert f"{part} has ended with exit code -9" in launched.output
    finally:
        launched.close()


@real_launch
@pytest.mark.parametrize("argument, simulated", ((None, True), ("false", False)))
def test_rviz_takes_its_time_as_the_file_says_unless_the_argument_says_otherwise(
    tmp_path, monkeypatch, argument, simulated
):
    path = tmp_path / "robot.yaml"
    path.write_text("/**: {ros__parameters: {use_sim_time: true, robot: {joints: [joint1], interface: effort}}}")
    arguments = {} if argument is None else {"use_sim_time": argument}
    said = launched_with_substitutes(
        tmp_path, monkeypatch, "rviz.launch.py", {"rviz2": "rviz2"}, params_file=str(path), **arguments
    )
    assert f"use_sim_time: {str(simulated).lower()}" in said["rviz2"]


SIMULATOR = """
from launch import LaunchDescription
from launch.actions import ExecuteProcess, OpaqueFunction, Shutdown

def run(context):
    open("{prefix}/gz_sim.said", "w").write(context.launch_configurations["gz_args"])
    return [ExecuteProcess(cmd=["sleep", "120"], name="gazebo", on_exit=Shutdown())]

def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=run)])
"""


def substitute(prefix: Path, package: str, name: str) -> None:
    """A package with one executable that writes down its arguments and parameter files."""
    for folder in ("share/ament_index/resource_index/packages", f"lib/{package}"):
        (prefix / folder).mkdir(parents=True, exist_ok=True)
    (prefix / "share/ament_index/resource_index/packages" / package).touch()
    script = prefix / "lib" / package / name
    stay = "" if name in ("create", "spawner") else "exec sleep 120\n"  # as those do that run as long as the launch
    script.write_text(
        f'#!/bin/sh\n{{ echo "$@"; for f in "$@"; do test -f "$f" && cat "$f"; done; }} > {prefix}/{name}.new\n'
        f"mv {prefix}/{name}.new {prefix}/{name}.said\n{stay}"
    )
    script.chmod(0o755)
