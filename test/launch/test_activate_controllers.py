"""Controllers of the real ros2_control are activated once mpc_node can command them, as gazebo.launch.py has it."""

import yaml

from mbrl_ros.messages.state_origin import ALONE
from support.domains import new_domain
from support.launching import JOINTS, PERIOD, START, Launched, planar_parameters
from support.needs import needs, present
from support.robots import planar_arm
from support.ros import Peer

if present("rclpy"):
    from diagnostic_msgs.msg import DiagnosticArray
    from std_msgs.msg import Float64MultiArray, String

    from mbrl_ros.nodes import qos

pytestmark = needs("launch_ros", "rclpy", "package mbrl_ros", "ros2_control")

FORWARD, STATES = "forward_command_controller", "joint_state_broadcaster"
FEW = 5  # periods: states that DDS loses, or that are on their way when the node has found out
CONTROLLERS = {
    "controller_manager": {
        "update_rate": round(1.0 / PERIOD),
        STATES: {"type": "joint_state_broadcaster/JointStateBroadcaster"},
        FORWARD: {"type": "forward_command_controller/ForwardCommandController"},
    },
    FORWARD: {"joints": JOINTS, "interface_name": "effort"},
}
LAUNCH_FILE = """
from launch import LaunchDescription
from launch.actions import OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch_ros.actions import Node
from mbrl_ros.nodes import launching

def nodes(context):
    manager = Node(package="controller_manager", executable="ros2_control_node", parameters=[{controllers!r}])
    arguments = [{forward!r}, {states!r}, "--param-file", {controllers!r}, "--inactive"]
    spawner = Node(package="controller_manager", executable="spawner", arguments=arguments)
    ours = launching.node(
        "mpc_node",
        on_exit=launching.must_not_end,
        parameters=[{node!r}],
        remappings=[("commands", "{forward}/commands")],
    )
    active = launching.activation(context, {forward!r}, {states!r})
    return [manager, spawner, ours, RegisterEventHandler(OnProcessExit(target_action=spawner, on_exit=[active]))]

def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=nodes)])
"""


def mock_urdf() -> str:
    """The arm with ros2_control's mock hardware, which takes efforts and stands still."""
    joints = "".join(
        f'''<joint name="{name}"><command_interface name="effort"/>
          <state_interface name="position"><param name="initial_value">{start}</param></state_interface>
          <state_interface name="velocity"><param name="initial_value">0.0</param></state_interface></joint>'''
        for name, start in zip(JOINTS, START, strict=True)
    )
    hardware = "<plugin>mock_components/GenericSystem</plugin>"
    control = f"<ros2_control name='mock' type='system'><hardware>{hardware}</hardware>{joints}</ros2_control>"
    return planar_arm(2).replace("</robot>", f"{control}</robot>")


def withheld(peer: Peer) -> int | None:
    """How many states mpc_node has not answered, because it was not known whose they are."""
    for message in peer.heard["/diagnostics"]:
        for part in message.status:
            for entry in part.values:
                if entry.key == "states not answered: not known whose they are":
                    return int(entry.value)
    return None


def test_the_first_state_whose_publisher_is_known_is_answered_with_a_command(tmp_path):
    """A controller of efforts that nobody commands lets the arm fall: it must not be active before mpc_node.

    Outside of a simulation it is ALONE seconds until it is known whose the states are.
    """
    controllers, file, domain = tmp_path / "controllers.yaml", tmp_path / "robot.launch.py", new_domain()
    controllers.write_text(yaml.safe_dump({name: {"ros__parameters": block} for name, block in CONTROLLERS.items()}))
    file.write_text(
        LAUNCH_FILE.format(
            controllers=str(controllers), forward=FORWARD, states=STATES, node=planar_parameters(tmp_path)
        )
    )
    launched, peer = Launched(file, domain), Peer(domain)
    try:
        described = peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
        described.publish(String(data=mock_urdf()))
        peer.listen(DiagnosticArray, "/diagnostics")
        peer.listen(Float64MultiArray, f"/{FORWARD}/commands")
        launched.until(lambda: f"active: {FORWARD}, {STATES}" in launched.output, "activation")
        peer.until(lambda: peer.heard[f"/{FORWARD}/commands"], "commands")
        peer.heard["/diagnostics"].clear()
        peer.until(lambda: withheld(peer) is not None, "the number of states that were not answered")
        assert abs(PERIOD * withheld(peer) - ALONE) <= FEW * PERIOD, launched.output
        assert launched.time_of(f"commands go to '/{FORWARD}'") < launched.time_of(f"active: {FORWARD}")
    finally:
        launched.close()
        peer.close()
