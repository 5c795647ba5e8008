"""mpc.launch.py against the real ros2_control: its mock hardware moves as the forward command controller is told."""

import numpy as np
import pytest

from support import ros2_control
from support.domains import new_domain
from support.launching import JOINTS, START, Launched, launch_file, launched, shipped
from support.needs import needs, present
from support.ros import Peer
from support.ros2_control import FORWARD

if present("rclpy"):
    from sensor_msgs.msg import JointState
    from std_msgs.msg import Float64MultiArray, String

    from mbrl_ros.nodes import qos

if present("launch_ros"):
    from launch_ros.actions import Node

pytestmark = needs(
    "launch_pytest",
    "launch_ros",
    "rclpy",
    "package mbrl_ros",
    "ros2_control",
)

ORDER = JOINTS[::-1]  # of the controller's command; not the robot's
TARGET = {"joint1": -0.1, "joint2": 0.2}  # [rad]
MULTI = "forward_command_controller/MultiInterfaceForwardCommandController"  # one joint, without interface_name


@launched(scope="module")
def controlled(tmp_path_factory, exits):
    folder = tmp_path_factory.mktemp("ros2_control")
    controllers = ros2_control.write(
        folder / "controllers.yaml", ros2_control.controllers({"joints": ORDER, "interface_name": "velocity"})
    )
    node = ros2_control.node_file(folder, ros2_control.node(forward_controller=FORWARD))
    description = shipped("mpc.launch.py", exits, params_file=node, commands=f"{FORWARD}/commands")
    description.add_action(Node(package="controller_manager", executable="ros2_control_node", parameters=[controllers]))
    arguments = ["joint_state_broadcaster", FORWARD, "--param-file", controllers]
    description.add_action(Node(package="controller_manager", executable="spawner", arguments=arguments))
    return description


def positions(peer) -> dict[str, float]:
    """{joint: its newest position [rad]}."""
    heard = peer.heard["/joint_states"]
    return dict(zip(heard[-1].name, heard[-1].position, strict=True)) if heard else {}


@pytest.mark.launch(fixture=controlled)
def test_the_joints_of_ros2_control_reach_their_targets_in_its_order(peer):
    described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
    described.publish(String(data=ros2_control.mock_urdf()))
    peer.listen(JointState, "/joint_states")
    peer.listen(Float64MultiArray, f"/{FORWARD}/commands")
    peer.until(lambda: set(positions(peer)) == set(JOINTS), "the state of both joints")
    assert [positions(peer)[name] for name in JOINTS] == pytest.approx(START)
    publisher = peer.publisher(JointState, "/mpc_node/target_joints")
    peer.send_until(
        publisher,
        JointState(name=list(TARGET), position=list(TARGET.values())),
        lambda: np.allclose([positions(peer)[name] - TARGET[name] for name in JOINTS], 0.0, atol=0.01),
        "both joints at their targets",
    )
    # joint1 moves down and joint2 up; the controller's order has joint2 first.
    fastest = np.array([command.data for command in peer.heard[f"/{FORWARD}/commands"]])
    assert fastest[:, ORDER.index("joint1")].min() < -0.1 and fastest[:, ORDER.index("joint2")].max() > 0.1


@pytest.mark.launch(fixture=controlled, shutdown=True)
def test_the_node_ends_in_order(exits):
    assert exits["mpc_node"] == 0


@pytest.mark.parametrize(
    ("plugin", "parameters", "joints", "words"),
    [
        (
            ros2_control.PLUGIN,
            {"joints": JOINTS, "interface_name": "position"},
            2,
            f"the interface of '/{FORWARD}' is position, but robot.interface is velocity",
        ),
        (
            ros2_control.PLUGIN,
            {"joints": JOINTS[:1], "interface_name": "velocity"},
            2,
            f"joints of /{FORWARD} do not match",
        ),
        (
            MULTI,
            {"joint": JOINTS[0], "interface_names": ["position"]},
            1,
            f"the interface of '/{FORWARD}' is position, but robot.interface is velocity",
        ),
    ],
    ids=("another interface", "another joint", "asked of list_controllers"),
)
@pytest.mark.parametrize("guard", ("true", "false"))
def test_a_controller_that_executes_something_else_gets_no_command(tmp_path, guard, plugin, parameters, joints, words):
    """The real controller is asked; the arm stands still, whoever else listens to the commands."""
    file = ros2_control.launch_file(
        tmp_path,
        ros2_control.controllers(parameters, plugin),
        ros2_control.node(joints=joints),
        launch_file("mpc.launch.py"),
        guard=guard,
    )
    domain = new_domain()
    running, peer = Launched(file, domain), Peer(domain)
    try:
        described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        described.publish(String(data=ros2_control.mock_urdf(joints)))
        peer.listen(JointState, "/joint_states")
        peer.until(lambda: f"no command will be published: {words}" in " ".join(running.output.split()), "refusal")
        peer.heard["/joint_states"].clear()
        peer.until(lambda: len(peer.heard["/joint_states"]) > 100, "a second of states")
        states = {(message.name[0], *message.position) for message in peer.heard["/joint_states"]}
        assert len(states) == 1 and START[0] in next(iter(states)), "no joint has moved"
        assert "commands go to" not in running.output
    finally:
        peer.close()
        running.close()
