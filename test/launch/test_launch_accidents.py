"""What goes wrong when robots are launched: wrong files, parts that die, a launch system that is killed."""

import os
import signal
import time

import pytest
import yaml

from support.domains import new_domain
from support.launching import Launched, launch_file, planar_parameters, running
from support.needs import needs, present
from support.ros import Peer

if present("launch_ros", "rclpy"):
    from launch import LaunchContext

    from mbrl_ros.nodes import launching

pytestmark = needs("launch_ros", "rclpy", "package mbrl_ros", "/proc")


@pytest.fixture
def start():
    """Launch a shipped launch file in a domain of its own."""
    started = []

    def make(name: str, **arguments: object) -> Launched:
        started.append(Launched(launch_file(name), new_domain(), **arguments))
        return started[-1]

    yield make
    for launched in started:
        launched.close()


def changed(folder, **changes):
    """The parameter file of the planar arm with other parameters for mpc_node; None removes `robot.` NAME."""
    path = planar_parameters(folder)
    with open(path) as file:
        blocks = yaml.safe_load(file)
    for name, value in changes.items():
        if value is None:
            del blocks["/**"]["ros__parameters"]["robot"][name]
        else:
            blocks["/**/mpc_node"]["ros__parameters"][name] = value
    with open(path, "w") as file:
        yaml.safe_dump(blocks, file)
    return path


@pytest.mark.parametrize("name", ("mpc", "sim", "distillation", "replay", "rviz", "gazebo"))
def test_a_parameter_file_that_is_not_there_ends_every_launch_before_anything_starts(start, tmp_path, name):
    (tmp_path / "robot.yaml").write_text("{}")
    further = {"bag": tmp_path} if name == "replay" else {}
    launched = start(f"{name}.launch.py", params_file=tmp_path / "robt.yaml", **further)
    assert launched.wait() == 1
    assert "process started" not in launched.output
    if name != "gazebo":  # it looks for its packages first
        assert f"there is no file '{tmp_path}/robt.yaml'; did you mean '{tmp_path}/robot.yaml'?" in launched.output


@pytest.mark.parametrize(
    "text, words",
    (
        ("robot: {interface: effort}", "names no node"),
        ("/other_node: {ros__parameters: {robot.interface: effort}}", "holds nothing for the node /mpc_node"),
        ("/**: {ros__parameters: {control.rate: 100.0}}", "no parameter robot.* was given"),
        ("/**: {ros__parameters: {robot.interface: effort}}", "robot.joints (the joints in the order"),
        ("/**: {ros__parameters: {robot.joints: [a]}}", "robot.interface (what a command is"),
        ("/**: {ros__parameters: {robot.interfce: effort}}", "did you mean 'robot.interface'?"),
    ),
)
def test_a_parameter_file_that_does_not_configure_the_robot_ends_the_launch(start, tmp_path, text, words):
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    launched = start("mpc.launch.py", params_file=path)
    assert launched.wait() == 1
    assert words in launched.output and "process started" not in launched.output


def test_without_a_parameter_file_nothing_is_launched(start):
    launched = start("mpc.launch.py")
    assert launched.wait() == 1
    assert "params_file" in launched.output and "process started" not in launched.output


@pytest.mark.parametrize("delay", (0.0, 0.3))
def test_a_launch_that_dies_in_its_first_moments_takes_the_controller_with_it(start, tmp_path, delay):
    launched = start("mpc.launch.py", params_file=planar_parameters(tmp_path))
    process = launched.process("mpc_node")
    time.sleep(delay)  # into Python's start, or into the imports
    launched.kill()
    launched.until(lambda: not running(process), "the end of mpc_node")
    assert "robot_description" not in launched.output and "building the controller" not in launched.output


def test_a_controller_that_cannot_start_ends_the_launch_with_a_code(start, tmp_path):
    launched = start("mpc.launch.py", params_file=changed(tmp_path, **{"robot.joints": ["joint1", "joint9"]}))
    assert launched.wait() == 1
    assert "mpc_node has ended with exit code 2" in launched.output


def killed(start, folder, name, other):
    """Kill one of mpc_node and guard_node; return the launch and the process that goes on."""
    launched = start("mpc.launch.py", params_file=planar_parameters(folder))
    ended, remaining = launched.process(name), launched.process(other)
    os.kill(ended, signal.SIGKILL)
    launched.until(lambda: f"{name} was killed by signal 9; {other} " in launched.output, "the report")
    assert running(remaining)
    return launched, remaining


def test_a_controller_that_is_killed_leaves_the_arm_to_its_guard(start, tmp_path):
    launched, guard = killed(start, tmp_path, "mpc_node", "guard_node")
    launched.close()
    launched.until(lambda: not running(guard), "the end of the guard with the launch")


def test_a_guard_that_is_killed_leaves_the_arm_to_its_controller(start, tmp_path):
    launched, controller = killed(start, tmp_path, "guard_node", "mpc_node")
    os.kill(controller, signal.SIGKILL)  # nobody is left who could hold it
    assert launched.wait() == 1


def test_a_recorder_that_was_asked_for_and_dies_ends_the_launch_with_a_code(start, tmp_path):
    there = tmp_path / "bag"
    there.mkdir()
    (there / "taken").touch()  # the recorder makes its folder anew, or refuses
    launched = start("mpc.launch.py", params_file=planar_parameters(tmp_path), record=there)
    assert launched.wait() == 1
    assert "record_node has ended with exit code 2 before the others" in launched.output


def test_a_bag_that_cannot_be_played_ends_the_launch_with_a_code(start, tmp_path):
    launched = start("replay.launch.py", params_file=planar_parameters(tmp_path), bag=tmp_path / "nowhere")
    assert launched.wait() == 1
    assert "replay_node has ended with exit code" in launched.output


@pytest.mark.parametrize(
    "argument, of_file, name",
    (
        ("", None, "guard_node"),
        ("", "", ""),
        ("", "my_guard", "my_guard"),
        ("true", "", "guard_node"),
        ("true", "my_guard", "my_guard"),
        ("false", None, ""),
        ("false", "my_guard", ""),
    ),
)
def test_the_guard_is_that_of_the_file_unless_the_launch_argument_says_otherwise(tmp_path, argument, of_file, name):
    path = planar_parameters(tmp_path) if of_file is None else changed(tmp_path, guard=of_file)
    context = LaunchContext()
    context.launch_configurations["guard"] = argument
    assert launching.guard_name(context, str(path)) == name


def test_an_empty_guard_in_the_file_starts_none(tmp_path):
    domain = new_domain()
    path = changed(tmp_path, guard="", autostart=False)
    launched = Launched(launch_file("mpc.launch.py"), domain, params_file=path)
    peer = Peer(domain)
    try:
        peer.until(lambda: peer.node.count_services("/mpc_node/change_state"), "mpc_node")
        assert "guard_node" not in launched.output
    finally:
        peer.close()
        launched.close()
    assert launched.wait() == 0, launched.output


@pytest.mark.parametrize("argument, active", ((None, False), ("true", True)))
def test_a_launch_argument_overrides_the_file_only_where_it_is_given(start, tmp_path, argument, active):
    """autostart: false in the file: the node waits, unless the launch argument says otherwise."""
    domain = new_domain()
    arguments = {} if argument is None else {"autostart": argument}
    launched = Launched(
        launch_file("mpc.launch.py"), domain, params_file=changed(tmp_path, autostart=False), **arguments
    )
    peer = Peer(domain)
    try:
        peer.until(lambda: peer.node.get_node_names().count("mpc_node"), "mpc_node")
        peer.until(lambda: peer.node.count_services("/mpc_node/change_state"), "its services")
        if active:
            peer.until(lambda: peer.node.count_publishers("/mpc_node/status"), "the configured node")
        else:
            end = time.monotonic() + 3.0
            while time.monotonic() < end:
                peer.spin()
            assert not peer.node.count_publishers("/mpc_node/status") and "building" not in launched.output
    finally:
        peer.close()
        launched.close()
    assert launched.wait() == 0, launched.output
