"""replay.launch.py, run by the real launch system: a bag plays into a shadow controller, and all ends with it."""

import pytest
import yaml

from support.launching import JOINTS, launched, shipped
from support.needs import needs, present
from support.replay_bags import SETTINGS, closed_loop, write_bag

if present("rclpy"):
    from std_msgs.msg import Float64MultiArray

pytestmark = needs("launch_pytest", "launch_ros", "rclpy", "rosbags", "package mbrl_ros")


@launched(scope="module")
def shadow(tmp_path_factory, exits):
    """A bag of eight seconds, played to a controller of the same robot."""
    folder = tmp_path_factory.mktemp("shadow")
    messages, _ = closed_loop(seconds=8.0)  # DDS may need some of them
    bag = write_bag(folder / "bag", messages)
    settings = {key: value for key, value in SETTINGS.items() if key != "robot.description"}
    robot = {"robot_description": SETTINGS["robot.description"], "robot.interface": "effort", "robot.joints": JOINTS}
    parameters = {**robot, **settings, "lockstep": False}
    params_file = folder / "planar.yaml"
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
