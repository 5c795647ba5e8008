"""doc/first_day.md as it is written: its configuration, its targets and its services, in its order, over real DDS."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import yaml

from mbrl_ros.cli.main import main
from mbrl_ros.config.settings_file import load_configuration, read_settings
from mbrl_ros.robots import load_robot
from support import ROOT
from support.needs import needs, present
from support.ros import ros

if present("rclpy"):
    from std_msgs.msg import Float64MultiArray, String

pytestmark = needs("rclpy", "mujoco", "example-robot-data")


PAGE = (ROOT / "doc" / "first_day.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


def merged(one: dict, other: dict) -> dict:
    both = {key: merged(one[key], value) if isinstance(one.get(key), dict) else value for key, value in other.items()}
    return {**one, **both}


@pytest.fixture(scope="module")
def configuration(tmp_path_factory) -> Path:
    """What `mbrl init` writes for the page's arm, with the page's changes."""
    path = tmp_path_factory.mktemp("day") / "my_ur5.yaml"
    assert main(["init", "--urdf", "package-data:ur5", "-o", str(path)]) == 0
    (changes,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), yaml.safe_load(changes))))
    return path


def filled(message, values: dict):
    """The message with `values`, as `ros2 topic pub` takes them."""
    for name, value in values.items():
        if isinstance(value, dict):
            filled(getattr(message, name), value)
        else:
            setattr(message, name, value)
    return message


def test_the_configuration_is_that_of_the_page(configuration):
    c = load_configuration(str(configuration))
    robot = load_robot(c.robot)
    assert robot.n == 6 and robot.interface == "velocity" and c.control.rate == 125.0
    assert c.supervisor.start == "hold"


def answers(peer, since: int) -> list[str]:
    """What was said of targets that came, after so many messages; what became of earlier ones is left out."""
    texts = [message.data for message in peer.heard["/mpc_node/message"][since:]]
    return [text for text in texts if text.startswith(("target accepted", "target refused"))]


@pytest.mark.slow
def test_every_target_is_accepted_and_every_service_does_what_the_page_says(configuration, tmp_path):
    mpc = {
        **read_settings(str(configuration), "mpc_node"),
        "shadow": False,
        "lockstep": True,
        "priority": 0,
        "model_file": str(tmp_path / "model.npz"),
    }
    sim = {**read_settings(str(configuration), "sim_node"), "lockstep": True}
    with ros(("mpc_node", mpc), ("sim_node", sim)) as (peer, *_):
        peer.listen(String, "/mpc_node/message")
        peer.listen(Float64MultiArray, "/commands")
        peer.until(lambda: peer.heard["/commands"], "the first command")
        done = []
        for command in COMMANDS:
            if command[:3] == ["ros2", "topic", "pub"]:
                topic, kind, values = command[4:7]
                package, _, name = kind.split("/")
                publisher = peer.publisher(getattr(importlib.import_module(f"{package}.msg"), name), topic)
                told = len(peer.heard["/mpc_node/message"])
                publisher.publish(filled(publisher.msg_type(), yaml.safe_load(values)))
                peer.until(lambda: answers(peer, told), f"what became of {topic}")
                assert answers(peer, told)[0].startswith("target accepted: ")
                done.append(topic.rpartition("/")[2])
            elif command[:3] == ["ros2", "service", "call"]:
                granted, why = peer.call(command[3])
                assert granted, (command[3], why)
                peer.until(
                    lambda: any(
                        told.data.startswith(f"~/{command[3].rpartition('/')[2]}: done")
                        for told in peer.heard["/mpc_node/message"]
                    ),
                    "what became of it",
                )
                done.append(command[3].rpartition("/")[2])
        assert done == [
            "resume",
            "target_joints",
            "target_joints",
            "hold",
            "resume",
            "target_point",
            "e_stop",
            "clear",
            "resume",
            "save_model",
            "load_model",
        ]
