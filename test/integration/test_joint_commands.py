"""sim_node behind topics of JointState, as ros2_control's topic-based hardware speaks them."""

import math

import numpy as np

from support.needs import needs, present
from support.robots import planar_arm
from support.ros import ros

if present("rclpy"):
    from sensor_msgs.msg import JointState

pytestmark = needs("rclpy", "mujoco")

JOINTS = ["joint1", "joint2"]


def test_a_joint_state_commands_the_joints_by_their_names(tmp_path):
    arm = tmp_path / "arm.urdf"
    arm.write_text(planar_arm(2))
    robot = {"robot.description": str(arm), "robot.interface": "effort", "robot.joints": JOINTS}
    settings = {**robot, "joint_commands": "/simulated/joint_commands", "plant.rate": 100.0, "plant.command_delay": 0.0}
    with ros(("sim_node", settings)) as (peer, node):
        peer.listen(JointState, "/joint_states")
        commands, heard = peer.publisher(JointState, "/simulated/joint_commands"), peer.heard["/joint_states"]

        def command(names, effort) -> JointState:
            return JointState(name=names, effort=effort)

        peer.until(lambda: heard, "a state")
        commands.publish(command(JOINTS, [math.nan] * 2))  # no controller is active yet: nothing is said
        for bad, why in ((command(["joint1"], [1.0]), "lacks ['joint2']"), (command(JOINTS, [1.0]), "has 1 entries")):
            peer.send_until(commands, bad, lambda why=why: f"{why}" in node.output, f"the reason: {why}")
        assert "must be finite" not in node.output
        assert all(np.allclose(message.position, heard[0].position, atol=1e-2) for message in heard)  # brakes hold
        wanted = [3.0, 1.0]  # of joint1 and joint2
        turned = command(JOINTS[::-1], wanted[::-1])
        peer.send_until(commands, turned, lambda: np.allclose(heard[-1].effort, wanted), "the efforts")
        assert list(heard[-1].name) == JOINTS


def test_in_lockstep_it_is_refused(tmp_path):
    arm = tmp_path / "arm.urdf"
    arm.write_text(planar_arm(2))
    robot = {"robot.description": str(arm), "robot.interface": "effort", "robot.joints": JOINTS}
    with ros(("sim_node", {**robot, "joint_commands": "/c", "lockstep": True})) as (_, node):
        assert node.wait() != 0
        assert "'joint_commands' excludes 'lockstep'" in node.output
