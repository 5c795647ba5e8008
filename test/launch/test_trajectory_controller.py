"""mpc_node's trajectory_commands and the real joint_trajectory_controller, which holds the last point by itself."""

import os
import signal
import subprocess

import numpy as np
import pytest

from support import ros2_control
from support.domains import new_domain
from support.launching import JOINTS, PERIOD, START
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import NodeProcess, Peer

if present("rclpy"):
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String

    from mbrl_ros.nodes import qos

if present("ros2_control"):
    from ament_index_python.packages import get_package_prefix

pytestmark = needs("launch_ros", "rclpy", "package mbrl_ros", "ros2_control")

PLUGIN = "joint_trajectory_controller/JointTrajectoryController"
TARGET = {"joint1": -1.2, "joint2": 1.1}  # [rad]
NEAR = 0.05  # [rad]
CHATTER = 5e-3  # [rad] at rest
FASTEST = 2.0  # [rad/s] of a motion


class Arm:
    """ros2_control_node with a joint_trajectory_controller, and mpc_node."""

    def __init__(self, folder):
        domain = new_domain()
        parameters = {
            "joints": JOINTS,
            "state_interfaces": ["position", "velocity"],
            "command_interfaces": ["position"],
        }
        file = ros2_control.write(folder / "controllers.yaml", ros2_control.controllers(parameters, PLUGIN))
        arm = folder / "arm.urdf"
        arm.write_text(planar_arm(2))
        self.peer = Peer(domain)
        described = self.peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        described.publish(String(data=ros2_control.mock_urdf()))
        self.positions: list[np.ndarray] = []
        self.peer.node.create_subscription(JointState, "/joint_states", self._on_state, 100)
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        run = f"{get_package_prefix('controller_manager')}/lib/controller_manager"
        self.manager = subprocess.Popen(
            [f"{run}/ros2_control_node", "--ros-args", "--params-file", file], env=environment
        )
        spawner = subprocess.Popen(
            [f"{run}/spawner", "joint_state_broadcaster", ros2_control.FORWARD, "--param-file", file], env=environment
        )
        self.peer.until(lambda: spawner.poll() is not None, "the controllers")
        assert spawner.returncode == 0
        robot = {"robot.description": str(arm), "robot.interface": "position", "robot.joints": JOINTS}
        self.mpc = NodeProcess(
            "mpc_node",
            domain,
            {**robot, "control.rate": 1.0 / PERIOD, "trajectory_commands": True},
            remap={"trajectory_commands": f"{ros2_control.FORWARD}/joint_trajectory"},
        )
        self.targets = self.peer.publisher(JointState, "/mpc_node/target_joints")

    def _on_state(self, message) -> None:
        where = {name: i for i, name in enumerate(message.name)}
        if set(JOINTS) <= set(where):
            self.positions.append(np.array([message.position[where[name]] for name in JOINTS]))

    def wait(self, states: int) -> None:
        """Let so many states pass."""
        count = len(self.positions) + states
        self.peer.until(lambda: len(self.positions) >= count, "states")

    def send_until(self, condition, what: str) -> None:
        """Send the target until `condition` holds."""
        message = JointState(name=list(TARGET), position=list(TARGET.values()))
        self.peer.send_until(self.targets, message, condition, what)

    def close(self) -> None:
        """End everything."""
        self.peer.close()
        self.mpc.kill()
        self.manager.kill()
        self.manager.wait()


@pytest.fixture
def arm(tmp_path):
    made = Arm(tmp_path)
    yield made
    made.close()


def test_the_arm_reaches_its_target(arm):
    goal = np.array(list(TARGET.values()))
    assert arm.positions[0] == pytest.approx(START)
    arm.send_until(lambda: np.abs(arm.positions[-1] - goal).max() < NEAR, "both joints at their targets")
    arm.wait(100)
    assert np.abs(np.array(arm.positions[-50:]) - goal).max() < CHATTER


@pytest.mark.parametrize("number", (signal.SIGKILL, signal.SIGSTOP), ids=("kill", "stop"))
def test_without_mpc_node_the_arm_holds_the_last_point(arm, number):
    arm.send_until(lambda: np.abs(arm.positions[-1] - START).max() > 0.3, "a motion")
    arm.mpc.signal(number)
    begin = arm.positions[-1].copy()
    arm.wait(round(0.1 / PERIOD))
    held = arm.positions[-1].copy()
    arm.wait(100)
    assert np.abs(arm.positions[-1] - held).max() < 1e-3
    assert np.abs(held - begin).max() < 0.1 * FASTEST
