"""The same goals, cancels and preemptions for joint_trajectory_controller and for mpc_node.

What each makes of them stands in a table of doc/topics.md, which is compared with what they do here.
"""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support import ROOT, ros2_control
from support.domains import new_domain
from support.launching import JOINTS, PERIOD
from support.needs import needs, present
from support.ros import Peer
from support.simulated_arm import HOME, SimulatedArm

if present("rclpy"):
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String
    from trajectory_msgs.msg import JointTrajectory

    from mbrl_ros.nodes import qos

if present("control_msgs"):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    from support.trajectory_goals import GoalClient, Sent, goal_message, tolerance

if present("ros2_control"):
    from ament_index_python.packages import get_package_prefix

pytestmark = needs("launch_ros", "rclpy", "package mbrl_ros", "ros2_control", "control_msgs")

TRAJECTORIES = "joint_trajectory_controller/JointTrajectoryController"
AWAY = HOME + (0.5, -0.4)
NEAR = 0.02  # [rad]
# The same defaults for both.
CONSTRAINTS = {
    "goal_time": 5.0,
    "stopped_velocity_tolerance": 0.05,
    **{joint: {"goal": 0.01, "trajectory": 0.0} for joint in JOINTS},
}
PAGE = ROOT / "doc" / "topics.md"


class Theirs:
    """ros2_control_node with mock hardware and a joint_trajectory_controller; `positions` [rad] of every state."""

    def __init__(self, folder: Path):
        self.domain = new_domain()
        parameters = {
            "joints": JOINTS,
            "command_interfaces": ["position"],
            "state_interfaces": ["position", "velocity"],
            "constraints": CONSTRAINTS,
        }
        described = ros2_control.controllers(parameters, TRAJECTORIES)
        described["controller_manager"]["enforce_command_limits"] = True
        file = ros2_control.write(folder / "controllers.yaml", described)
        self.peer = Peer(self.domain)
        publisher = self.peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        publisher.publish(String(data=ros2_control.mock_urdf()))
        self.positions: list[np.ndarray] = []
        self.peer.node.create_subscription(JointState, "/joint_states", self._on_state, 100)
        run = f"{get_package_prefix('controller_manager')}/lib/controller_manager"
        environment = {**os.environ, "ROS_DOMAIN_ID": str(self.domain)}
        self._manager = subprocess.Popen(
            [f"{run}/ros2_control_node", "--ros-args", "--params-file", file], env=environment
        )
        spawner = subprocess.Popen(
            [f"{run}/spawner", "joint_state_broadcaster", ros2_control.FORWARD, "--param-file", file], env=environment
        )
        self.peer.until(lambda: spawner.poll() is not None, "the controllers")
        assert spawner.returncode == 0
        self.client = GoalClient(self.peer, f"/{ros2_control.FORWARD}/follow_joint_trajectory")
        self.trajectories = self.peer.publisher(JointTrajectory, f"/{ros2_control.FORWARD}/joint_trajectory")

    def active(self, on: bool) -> None:
        """Activate or deactivate what serves the action."""
        ros2_control.switch(self.peer, ros2_control.FORWARD, on=on)

    @property
    def q(self) -> np.ndarray:
        return self.positions[-1]

    @property
    def now(self) -> float:
        return self.peer.node.get_clock().now().nanoseconds * 1e-9

    def result(self, sent: "Sent") -> tuple[str, int, str]:
        """What became of a goal."""
        return sent.outcome

    def _on_state(self, message) -> None:
        where = {name: i for i, name in enumerate(message.name)}
        if set(JOINTS) <= set(where):
            self.positions.append(np.array([message.position[where[name]] for name in JOINTS]))

    def wait(self, seconds: float) -> None:
        """Let so many states pass as the arm tells in some seconds."""
        count = len(self.positions) + round(seconds / PERIOD)
        self.peer.until(lambda: len(self.positions) >= count, "states")

    def close(self) -> None:
        """End everything."""
        self.peer.close()
        self._manager.kill()
        self._manager.wait()


class Ours:
    """mpc_node in simulated time, with positions and an arm whose servos lag behind by 20 ms."""

    def __init__(self, folder: Path):
        self._arm, self._active = SimulatedArm(folder, "position"), True
        self._arm.begin()
        self.client = GoalClient(self._arm.peer, "/mpc_node/follow_joint_trajectory")
        self.trajectories = self._arm.peer.publisher(JointTrajectory, "/mpc_node/target_trajectory")

    @property
    def q(self) -> np.ndarray:
        return self._arm.q

    @property
    def now(self) -> float:
        return self._arm.time

    def wait(self, seconds: float) -> None:
        """Let simulated time pass, and the node's other threads work."""
        for _ in range(round(seconds / 0.05)):
            self._arm.run(0.05)
            self._arm.wait(0.02)

    def result(self, sent: "Sent") -> tuple[str, int, str]:
        """What became of a goal."""
        while self._active and sent.accepted and not sent.done:
            self.wait(0.05)
        return sent.outcome

    def active(self, on: bool) -> None:
        """Activate or deactivate the node."""
        peer = self._arm.peer
        client = peer.node.create_client(ChangeState, "/mpc_node/change_state")
        peer.until(client.service_is_ready, "the lifecycle")
        number = Transition.TRANSITION_ACTIVATE if on else Transition.TRANSITION_DEACTIVATE
        future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
        peer.until(future.done, "a transition")
        assert future.result().success
        self._active = on
        if on:
            self._arm.begin()

    def close(self) -> None:
        """End everything."""
        self._arm.close()


def go(robot, q=AWAY, seconds: float = 2.0, joints=JOINTS, **more) -> "Sent":
    """Send a goal of one point."""
    return robot.client.send(goal_message(joints, [seconds], q, **more))


def reached(robot):
    sent = go(robot)
    result = robot.result(sent)
    assert np.abs(robot.q - AWAY).max() < NEAR and len(sent.feedback) > 5
    return result


def other_order(robot):
    result = robot.result(go(robot, AWAY[::-1], joints=JOINTS[::-1]))
    assert np.abs(robot.q - AWAY).max() < NEAR
    return result


def off_the_path(robot):
    result = robot.result(go(robot, path=[tolerance("joint1", 1e-6)]))
    robot.wait(0.5)
    assert np.abs(robot.q - AWAY).max() > 0.2
    return result


def tolerance_erased(robot):
    return robot.result(go(robot, goal=[tolerance(joint, -1.0) for joint in JOINTS]))


def too_late(robot):
    """1.3 rad in 0.1 s, which both arms are too slow for."""
    return robot.result(go(robot, HOME + (1.3, 0.0), 0.1, time=0.1))


def canceled(robot):
    sent = go(robot)
    robot.wait(0.8)
    assert sent.cancel()
    result = robot.result(sent)
    robot.wait(1.5)
    stood = robot.q.copy()
    robot.wait(0.5)
    assert np.abs(robot.q - stood).max() < 1e-3 and np.abs(robot.q - AWAY).max() > 0.1
    return result


def preempted(robot):
    first = go(robot)
    robot.wait(0.8)
    second = go(robot, HOME)
    result = robot.result(first)
    assert robot.result(second)[:2] == ("SUCCEEDED", 0) and np.abs(robot.q - HOME).max() < NEAR
    return result


def preempted_by_topic(robot):
    sent = go(robot)
    robot.wait(0.8)
    robot.trajectories.publish(goal_message(JOINTS, [1.0], HOME).trajectory)
    return robot.result(sent)


def deactivated(robot):
    sent = go(robot)
    robot.wait(0.8)
    robot.active(False)
    try:
        return robot.result(sent)
    finally:
        robot.active(True)
        robot.wait(0.5)


def inactive(robot):
    robot.active(False)
    try:
        return robot.result(go(robot))
    finally:
        robot.active(True)
        robot.wait(0.5)


def moving_at_the_end(robot):
    message = goal_message(JOINTS, [2.0], AWAY)
    message.trajectory.points[-1].velocities = [0.1, 0.0]
    return robot.result(robot.client.send(message))


def in_the_past(robot):
    return robot.result(go(robot, stamp=robot.now - 30.0))


def no_points(robot):
    return robot.result(robot.client.send(goal_message(JOINTS, [], np.zeros((0, 2)))))


# What is done, by the words of the table.
CASES = {
    "reached": reached,
    "its joints in another order": other_order,
    "off its path": off_the_path,
    "goal tolerances of -1": tolerance_erased,
    "not there in time": too_late,
    "canceled": canceled,
    "a newer goal": preempted,
    "a newer trajectory by topic": preempted_by_topic,
    "deactivated on the way": deactivated,
    "not active": inactive,
    "without one of the joints": lambda robot: robot.result(go(robot, AWAY[:1], joints=JOINTS[:1])),
    "an unknown joint": lambda robot: robot.result(go(robot, joints=["joint1", "elbow"])),
    "no points": no_points,
    "times that do not rise": lambda robot: robot.result(
        robot.client.send(goal_message(JOINTS, [1.0, 1.0], [HOME, AWAY]))
    ),
    "in motion at its last point": moving_at_the_end,
    "over, by its stamp": in_the_past,
    "a position outside the limits": lambda robot: robot.result(go(robot, (2.7, -0.4), 3.0)),
    "a negative tolerance": lambda robot: robot.result(go(robot, goal=[tolerance("joint1", -0.5)])),
    "a tolerance of an unknown joint": lambda robot: robot.result(go(robot, path=[tolerance("elbow", 0.1)])),
    "an acceleration tolerance": lambda robot: robot.result(go(robot, path=[tolerance("joint1", acceleration=0.1)])),
    "a multi-DOF trajectory beside it": lambda robot: robot.result(robot.client.send(with_multi_dof())),
}


def with_multi_dof():
    message = goal_message(JOINTS, [2.0], AWAY)
    message.multi_dof_trajectory.joint_names = ["base"]
    return message


def outcomes(kind, folder: Path) -> dict[str, tuple[str, int, str]]:
    """What becomes of every case."""
    robot, found = kind(folder), {}
    try:
        for name, case in CASES.items():
            result = robot.result(go(robot, HOME))
            assert result[0] == "SUCCEEDED", result
            robot.wait(0.2)
            found[name] = case(robot)
            print(kind.__name__, name, found[name], flush=True)
    finally:
        robot.close()
    return found


def table() -> dict[str, tuple[str, str]]:
    """The cells of the page's table: what joint_trajectory_controller does, and mpc_node."""
    rows = re.findall(
        r"^\| (.*?) \| `([^`]*)`[^|]* \| `([^`]*)`[^|]* \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: (real, ours) for name, real, ours in rows if name in CASES}


@pytest.mark.parametrize(("kind", "column"), [(Theirs, 0), (Ours, 1)], ids=("joint_trajectory_controller", "mpc_node"))
def test_results_are_those_of_the_table(kind, column, tmp_path):
    found = outcomes(kind, tmp_path)
    told = {name: cells[column] for name, cells in table().items()}
    short = {name: status if status == "REJECTED" else f"{status} {code}" for name, (status, code, _) in found.items()}
    assert short == told
