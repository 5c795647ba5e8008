"""replay.launch.py, run by the real launch system: a bag plays into a shadow controller, and everything ends with it."""

import pytest

launch_pytest = pytest.importorskip(
    "launch_pytest", reason="launch_pytest is not on PyPI; it comes with a ROS 2 installation"
)

import yaml
from std_msgs.msg import Float64MultiArray

from support.launching import shipped
from support.replay_bags import SETTINGS, closed_loop, write_bag


@pytest.fixture
def exits():
    return {}


@launch_pytest.fixture
def shadow(tmp_path, exits):
    """A bag of four seconds, played to a controller of the same robot."""
    messages, _ = closed_loop(seconds=4.0)
    bag = write_bag(tmp_path / "bag", messages)
    settings = {key: value for key, value in SETTINGS.items() if key != "robot.description"}
    parameters = {"robot_description": SETTINGS["robot.description"], **settings, "lockstep": False}
    params_file = tmp_path / "planar.yaml"
    params_file.write_text(yaml.safe_dump({"/**/mpc_node": {"ros__parameters": parameters}}))
    return shipped("replay.launch.py", exits, bag=str(bag), params_file=str(params_file))


@pytest.mark.launch(fixture=shadow)
def test_a_bag_plays_into_a_shadow_controller(peer, exits):
    peer.listen(Float64MultiArray, "/mpc_node/shadow_commands")
    peer.listen(Float64MultiArray, "/commands")
    peer.until(lambda: len(peer.heard["/mpc_node/shadow_commands"]) > 100, "a hundred shadow commands")
    peer.until(lambda: exits.keys() >= {"replay_node", "mpc_node"}, "the end")
    assert exits["replay_node"] == exits["mpc_node"] == 0
    assert peer.heard["/commands"] == []  # neither the bag's nor the controller's
