"""Two arms of one robot, each with an mpc_node in its namespace, over DDS and in lockstep: both reach their targets."""

import numpy as np
import pytest

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.messages import readers
from mbrl_ros.nodes.command_topics import parse_command_topics
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.kinematics import Kinematics
from support.domains import new_domain
from support.needs import needs, present
from support.robots import two_arms
from support.ros import NodeProcess, Peer

if present("rclpy"):
    from geometry_msgs.msg import PointStamped
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray

pytestmark = needs("rclpy", "mujoco")

SIDES = ("left", "right")
JOINTS = {side: [f"{side}_joint1", f"{side}_joint2"] for side in SIDES}
ALL = [*JOINTS["left"], *JOINTS["right"]]
START = np.array([0.9, 0.5, 0.7, 0.6])
GOALS = {"left": np.array([0.4, 1.1]), "right": np.array([1.3, 0.2])}  # [rad], where the tips are to go
TOPICS = [f"{side}/commands {' '.join(JOINTS[side])}" for side in SIDES]


@pytest.fixture
def nodes(tmp_path):
    """(peer, {side: its mpc_node}, sim_node), in lockstep."""
    file, domain = tmp_path / "two_arms.urdf", new_domain()
    file.write_text(two_arms())
    common = {"robot.description": str(file), "robot.interface": "velocity", "lockstep": True}
    controllers = {
        side: NodeProcess(
            "mpc_node",
            domain,
            {
                **common,
                "robot.joints": JOINTS[side],
                "robot.measured_joints": JOINTS["right" if side == "left" else "left"],
                "robot.tip": f"{side}_tip",
                "control.rate": 100.0,
                "planner.horizon": 10,
                "planner.iterations": 1,
                "planner.backend": "casadi",
                "collision.rule": "stop",
                "collision.capsules": [f"{arm}_link{i} 0 0 0  0.5 0 0  0.05" for arm in SIDES for i in (1, 2)],
            },
            remap={"__ns": f"/{side}", "joint_states": "/joint_states"},
        )
        for side in SIDES
    }
    plant = {"plant.rate": 100.0, "plant.initial_position": START.tolist(), "plant.seed": 3}
    own = {"robot.joints": ALL, "robot.tip": "left_tip", "command_topics": TOPICS, "autostart": False}
    simulation = NodeProcess("sim_node", domain, {**common, **own, **plant})
    peer = Peer(domain)
    peer.processes = [*controllers.values(), simulation]
    try:
        yield peer, controllers, simulation
    finally:
        peer.close()
        for process in (*controllers.values(), simulation):
            process.kill()


def test_both_arms_reach_their_targets_at_once(nodes):
    peer, controllers, _ = nodes
    settings = {side: RobotSettings(joints=tuple(JOINTS[side]), tip=f"{side}_tip") for side in SIDES}
    tips = {side: Kinematics(load_robot(own, two_arms())).position for side, own in settings.items()}
    peer.listen(JointState, "/sim_node/truth", depth=5000)
    targets = {}
    for side in SIDES:
        peer.listen(Float64MultiArray, f"/{side}/commands", depth=5000)
        targets[side] = tips[side](GOALS[side])
        message = PointStamped()
        message.header.stamp.sec = 1  # both begin with the first state
        message.point.x, message.point.y, message.point.z = targets[side].tolist()
        publisher = peer.publisher(PointStamped, f"/{side}/mpc_node/target_point")
        node = controllers[side]
        peer.send_until(publisher, message, lambda node=node: "target accepted" in node.output, "the acceptance")
    peer.call("/sim_node/start")
    truth = peer.heard["/sim_node/truth"]

    def apart():
        q = np.array(truth[-1].position)
        return {side: np.linalg.norm(tips[side](q[part]) - targets[side]) for side, part in PARTS.items()}

    peer.until(lambda: len(truth) > 200 and max(apart().values()) < 2e-3, "both targets")
    moved = np.array([message.position for message in truth]) - START
    for part in PARTS.values():  # at the same time
        assert np.abs(moved[60, part]).max() > 0.05
    for side in SIDES:
        answered = [readers.answered_stamp(message) for message in peer.heard[f"/{side}/commands"]]
        assert len(set(answered)) >= 200 and all(len(m.data) == 2 for m in peer.heard[f"/{side}/commands"])
        assert "ERROR" not in controllers[side].output


PARTS = {side: slice(2 * k, 2 * k + 2) for k, side in enumerate(SIDES)}
assert [list(range(4))[part] for part in PARTS.values()] == list(parse_command_topics(TOPICS, ALL).values())
