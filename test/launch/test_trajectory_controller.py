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
    from std_srvs.srv import Trigger

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
        self._environment, self._file = {**os.environ, "ROS_DOMAIN_ID": str(domain)}, file
        self.start()
        robot = {"robot.description": str(arm), "robot.interface": "position", "robot.joints": JOINTS}
        self.mpc = NodeProcess(
            "mpc_node",
            domain,
            {**robot, "control.rate": 1.0 / PERIOD, "trajectory_commands": True},
            remap={"trajectory_commands": f"{ros2_control.FORWARD}/joint_trajectory"},
        )
        self.targets = self.peer.publisher(JointState, "/mpc_node/target_joints")

    def start(self) -> None:
        """Start the manager, load its controllers and activate them."""
        run = f"{get_package_prefix('controller_manager')}/lib/controller_manager"
        self.manager = subprocess.Popen(
            [f"{run}/ros2_control_node", "--ros-args", "--params-file", self._file], env=self._environment
        )
        spawner = subprocess.Popen(
            [f"{run}/spawner", "joint_state_broadcaster", ros2_control.FORWARD, "--param-file", self._file],
            env=self._environment,
        )
        self.peer.until(lambda: spawner.poll() is not None, "the controllers")
        assert spawner.returncode == 0

    def call(self, name: str) -> None:
        """Call a service of mpc_node."""
        client = self.peer.node.create_client(Trigger, f"/mpc_node/{name}")
        self.peer.until(client.service_is_ready, f"~/{name}")
        future = client.call_async(Trigger.Request())
        self.peer.until(future.done, "an answer")
        assert future.result().success, future.result().message

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

    def fastest(self, begin: int) -> float:
        """Return the greatest mean speed over five states from the state `begin` on [rad/s]."""
        positions = np.array(self.positions[begin:])
        return float(np.abs(positions[5:] - positions[:-5]).max() / (5.0 * PERIOD))

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


def test_a_controller_that_is_switched_off_and_on_in_motion_does_not_catch_up(arm):
    """Its hardware stands meanwhile; afterwards the motion goes on from there, no faster than it was planned."""
    goal = np.array(list(TARGET.values()))
    arm.send_until(lambda: np.abs(arm.positions[-1] - START).max() > 0.2, "a motion")
    ros2_control.switch(arm.peer, ros2_control.FORWARD, on=False)
    arm.wait(2)
    stood = arm.positions[-1].copy()
    arm.wait(200)
    assert np.abs(arm.positions[-1] - stood).max() < 1e-3
    begin = len(arm.positions)
    ros2_control.switch(arm.peer, ros2_control.FORWARD, on=True)
    arm.send_until(lambda: np.abs(arm.positions[-1] - goal).max() < NEAR, "both joints at their targets")
    assert arm.fastest(begin) < FASTEST


def test_a_manager_that_is_killed_and_started_again_finds_an_arm_that_goes_on_from_where_it_is(arm):
    """The mock hardware begins at its first position again; nothing leads the arm from there before ~/clear."""
    goal = np.array(list(TARGET.values()))
    arm.send_until(lambda: np.abs(arm.positions[-1] - START).max() > 0.3, "a motion")
    arm.manager.kill()
    arm.manager.wait()
    arm.peer.until(lambda: "-> FAULT" in arm.mpc.output, "the fault")
    begin = len(arm.positions)
    arm.start()
    arm.wait(150)
    assert np.ptp(arm.positions[begin:], axis=0).max() < 0.01
    arm.call("clear")
    arm.call("resume")
    arm.send_until(lambda: np.abs(arm.positions[-1] - goal).max() < NEAR, "both joints at their targets")
    assert arm.fastest(begin) < FASTEST
