"""`mbrl init` from a URDF: what it guesses it says, what it cannot know it leaves open, and ROS can read its file."""

import subprocess
import sys

import pytest

from mbrl_ros.cli.main import main
from mbrl_ros.config.settings_file import read_settings
from support.needs import needs
from support.robots import planar_arm


def made(tmp_path, *options: str, names=("joint1", "joint2"), capsys=None):
    """(text, settings) of the file that `mbrl init` writes for an arm with joints of these names."""
    text = planar_arm(2)
    for old, new in zip(("joint1", "joint2"), names, strict=True):
        text = text.replace(f'"{old}"', f'"{new}"')
    (tmp_path / "arm.urdf").write_text(text)
    path = tmp_path / "arm.yaml"
    assert main(["init", "--urdf", str(tmp_path / "arm.urdf"), "-o", str(path), "--force", *options]) == 0
    return path.read_text(), read_settings(path)


def test_the_interface_is_left_open_and_the_order_and_the_tip_are_guesses_that_are_named(tmp_path, capsys):
    text, settings = made(tmp_path)
    assert "robot.interface" not in settings and "order as in the URDF: CHECK" in text
    assert settings["robot.joints"] == ["joint1", "joint2"] and settings["robot.tip"] == "tip"
    said = capsys.readouterr().out
    assert "robot.interface is left open" in said and "--interface effort|velocity|position" in said
    assert "the tip is 'tip': CHECK both" in said


@pytest.mark.parametrize("interface", ("effort", "velocity", "position"))
def test_the_interface_can_be_given(tmp_path, interface):
    assert made(tmp_path, "--interface", interface)[1]["robot.interface"] == interface


def test_the_demo_asks_for_an_interface_that_is_left_open_in_one_line(tmp_path, capsys):
    made(tmp_path)
    capsys.readouterr()
    assert main(["demo", "--robot", str(tmp_path / "arm.yaml"), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.strip().splitlines()) == 1
    assert "robot.interface" in said.err and "--interface effort|velocity|position" in said.err
    assert not (tmp_path / "out").exists()


NAMES = (("x", "y"), ("1", "2"), ("on", "off"), ("1e3", "2e3"), ("null", "~"), ("a, b", "c: #d"))


@pytest.mark.parametrize("names", NAMES)
def test_names_that_yaml_takes_for_something_else_are_quoted(tmp_path, names):
    assert made(tmp_path, names=names)[1]["robot.joints"] == list(names)


@needs("rclpy")
@pytest.mark.parametrize("names", NAMES)
def test_ros_reads_the_names_as_they_are(tmp_path, names):
    made(tmp_path, names=names)
    script = (
        f"import rclpy; rclpy.init(args=['--ros-args', '--params-file', {str(tmp_path / 'arm.yaml')!r}]); "
        "node = rclpy.create_node('mpc_node', automatically_declare_parameters_from_overrides=True); "
        "print(node.get_parameter('robot.joints').value)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0 and str(list(names)) in result.stdout, result.stdout + result.stderr
