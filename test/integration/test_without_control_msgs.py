"""Where control_msgs is not installed, mpc_node says so in one line and works by topics."""

import os

import pytest

from support.needs import needs
from support.robots import planar_arm
from support.ros import ros

pytestmark = needs("rclpy")


@pytest.mark.slow
def test_without_control_msgs_the_node_says_so_and_takes_trajectories_by_topic(tmp_path):
    (tmp_path / "control_msgs").mkdir()
    missing = "raise ModuleNotFoundError(\"No module named 'control_msgs'\")\n"
    (tmp_path / "control_msgs" / "__init__.py").write_text(missing)
    arm = tmp_path / "arm.urdf"
    arm.write_text(planar_arm(2))
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    settings = {"robot.description": str(arm), "robot.interface": "velocity", "robot.joints": ["joint1", "joint2"]}
    with ros(("mpc_node", settings), environment={"PYTHONPATH": path}) as (peer, node):
        peer.until(lambda: "control_msgs is not installed" in node.output, "the line")
        assert node.output.count("control_msgs") == 1
        topic = "/mpc_node/target_trajectory"
        peer.until(lambda: peer.node.count_subscribers(topic) == 1, "the topic")
        assert peer.node.count_publishers("/mpc_node/goal_trajectory") == 0
