"""mpc.launch.py against the real ros2_control: its mock hardware moves as the forward command controller is told."""

import numpy as np
import pytest
import yaml

from support.launching import JOINTS, PERIOD, START, launched, shipped
from support.needs import needs, present
from support.robots import planar_arm

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

FORWARD = "forward_velocity_controller"
ORDER = JOINTS[::-1]  # of the controller's command; not the robot's
TARGET = {"joint1": -0.1, "joint2": 0.2}  # [rad]
CONTROLLERS = {
    "controller_manager": {
        "update_rate": round(1.0 / PERIOD),
        "joint_state_broadcaster": {"type": "joint_state_broadcaster/JointStateBroadcaster"},
        FORWARD: {"type": "forward_command_controller/ForwardCommandController"},
    },
    FORWARD: {"joints": ORDER, "interface_name": "velocity"},
}
NODE = {
    "robot_description": planar_arm(2),
    "robot": {"interface": "velocity", "joints": JOINTS},
    "control": {"rate": 1.0 / PERIOD},
    "forward_controller": FORWARD,
}


def mock_urdf() -> str:
    """The arm with ros2_control's mock hardware, which integrates the commanded velocities."""
    joints = "".join(
        f'''<joint name="{name}"><command_interface name="velocity"/><command_interface name="position"/>
          <state_interface name="position"><param name="initial_value">{start}</param></state_interface>
          <state_interface name="velocity"/></joint>'''
        for name, start in zip(JOINTS, START, strict=True)
    )
    hardware = "<plugin>mock_components/GenericSystem</plugin><param name='calculate_dynamics'>true</param>"
    control = f"<ros2_control name='mock' type='system'><hardware>{hardware}</hardware>{joints}</ros2_control>"
    return planar_arm(2).replace("</robot>", f"{control}</robot>")


@launched(scope="module")
def controlled(tmp_path_factory, exits):
    folder = tmp_path_factory.mktemp("ros2_control")
    for name, blocks in {"controllers": CONTROLLERS, "node": {"mpc_node": NODE}}.items():
        text = yaml.safe_dump({block: {"ros__parameters": values} for block, values in blocks.items()})
        (folder / f"{name}.yaml").write_text(text)
    controllers = str(folder / "controllers.yaml")
    description = shipped("mpc.launch.py", exits, params_file=str(folder / "node.yaml"), commands=f"{FORWARD}/commands")
    description.add_action(Node(package="controller_manager", executable="ros2_control_node", parameters=[controllers]))
    arguments = ["joint_state_broadcaster", FORWARD, "--param-file", controllers]
    description.add_action(Node(package="controller_manager", executable="spawner", arguments=arguments))
    return description


@pytest.mark.launch(fixture=controlled)
def test_the_joints_of_ros2_control_reach_their_targets_in_its_order(peer):
    described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
    described.publish(String(data=mock_urdf()))
    peer.listen(JointState, "/joint_states")
    peer.listen(Float64MultiArray, f"/{FORWARD}/commands")

    def positions() -> dict[str, float]:
        heard = peer.heard["/joint_states"]
        return dict(zip(heard[-1].name, heard[-1].position, strict=True)) if heard else {}

    peer.until(lambda: set(positions()) == set(JOINTS), "the state of both joints")
    assert [positions()[name] for name in JOINTS] == pytest.approx(START)
    publisher = peer.publisher(JointState, "/mpc_node/target_joints")
    peer.send_until(
        publisher,
        JointState(name=list(TARGET), position=list(TARGET.values())),
        lambda: np.allclose([positions()[name] - TARGET[name] for name in JOINTS], 0.0, atol=0.01),
        "both joints at their targets",
    )
    # joint1 moves down and joint2 up; the controller's order has joint2 first.
    fastest = np.array([command.data for command in peer.heard[f"/{FORWARD}/commands"]])
    assert fastest[:, ORDER.index("joint1")].min() < -0.1 and fastest[:, ORDER.index("joint2")].max() > 0.1


@pytest.mark.launch(fixture=controlled, shutdown=True)
def test_the_node_ends_in_order(exits):
    assert exits["mpc_node"] == 0
