"""What goes wrong when a robot is launched: files, the command, what happens beside it, what is said, the exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from support import ros2_control
from support.needs import present
from support.robots import planar_arm
from support.ros2_control import FORWARD

if present("rclpy"):
    from std_msgs.msg import String

    from mbrl_ros.nodes import qos

MPC = ("mbrl_ros", "mpc.launch.py", "params_file:=robot.yaml")
CONTROLLED = ("robot.launch.py",)
ROBOT = {"robot": {"description": "arm.urdf", "interface": "velocity", "joints": ["joint1", "joint2"]}}
CHANGE = "lifecycle_msgs/srv/ChangeState"
ACTIVATE = "{transition: {id: 3}}"


@dataclass
class Accident:
    """`about` says what happens, `key` what must be said; `act(terminal)` is done while the launch runs."""

    about: str
    command: tuple[str, ...]
    key: tuple[str, ...]
    code: int
    files: dict[str, str] = field(default_factory=dict)
    act: Callable[[Any], None] | None = None


def files(blocks: dict | None = None, **more: str) -> dict[str, str]:
    """The files of a robot: its URDF, its parameter file, and others."""
    text = yaml.safe_dump(blocks or node(ROBOT))
    return {"arm.urdf": planar_arm(2), "robot.yaml": text, **more}


def node(values: dict, name: str = "mpc_node") -> dict:
    """The block of a node in a parameter file."""
    return {name: {"ros__parameters": values}}


def without(key: str) -> dict[str, str]:
    """The files of a robot whose parameter file does not hold one key of `robot`."""
    return files(node({"robot": {name: value for name, value in ROBOT["robot"].items() if name != key}}))


def controlled(**parameters: Any) -> dict[str, str]:
    """The files of a robot with ros2_control's real node and mock hardware."""
    blocks = ros2_control.controllers(parameters)
    return files(
        node({**ROBOT, "control": {"rate": 100.0}}),
        **{
            "controllers.yaml": yaml.safe_dump({name: {"ros__parameters": block} for name, block in blocks.items()}),
            "robot.launch.py": LAUNCH_FILE,
        },
    )


LAUNCH_FILE = f"""from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description():
    return LaunchDescription([
        Node(package="controller_manager", executable="ros2_control_node", parameters=["controllers.yaml"]),
        Node(package="controller_manager", executable="spawner",
             arguments=["joint_state_broadcaster", "{FORWARD}", "--param-file", "controllers.yaml"]),
        IncludeLaunchDescription(
            PathJoinSubstitution([FindPackageShare("mbrl_ros"), "launch", "mpc.launch.py"]),
            launch_arguments={{"params_file": "robot.yaml", "commands": "{FORWARD}/commands"}}.items()),
    ])
"""


# --- what happens beside the launch ---


def refused_by_the_controller(terminal: Any) -> None:
    """The driver publishes the description with the hardware; then the controller is asked."""
    described = terminal.peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
    described.publish(String(data=ros2_control.mock_urdf()))
    terminal.until("no command will be published")


def killed(node: str, then: str = "") -> Callable[[Any], None]:
    """Kill a node once all are active, and wait for words or for the end of the launch."""

    def act(terminal: Any) -> None:
        terminal.until("nobody reads the commands")
        terminal.kill(node)
        if then:
            terminal.until(then)
        else:
            terminal.wait(terminal.ended, "the end of the launch")

    return act


def activated_unconfigured(terminal: Any) -> None:
    """Ask for a transition that the state does not allow."""
    peer = terminal.peer
    terminal.wait(lambda: peer.node.count_services("/mpc_node/change_state") > 0, "mpc_node")
    terminal.type("ros2", "service", "call", "/mpc_node/change_state", CHANGE, ACTIVATE)
    terminal.until("refused: the state 'unconfigured'")


def another_publisher(terminal: Any) -> None:
    """Publish commands too."""
    terminal.until("nobody reads the commands")
    command = ("ros2", "topic", "pub", "--times", "80", "--rate", "10", "-w", "0", "--print", "0")
    terminal.type(*command, "/commands", "std_msgs/msg/Float64MultiArray", "{data: [0.0, 0.0]}")
    terminal.until("another publisher")


def another_description(terminal: Any) -> None:
    """Publish the description twice, changed, as a driver does that has been started again."""
    described = terminal.peer.node.create_publisher(String, "/robot_description", qos.LATCHED)
    described.publish(String(data=planar_arm(2)))
    terminal.until("building the controller")
    described.publish(String(data=planar_arm(2, effort=5.0)))
    terminal.until("robot_description has changed")


def left_waiting(terminal: Any) -> None:
    """Ask for the state of a node that waits."""
    peer = terminal.peer
    terminal.wait(lambda: peer.node.count_services("/mpc_node/get_state") > 0, "mpc_node")
    terminal.type("ros2", "service", "call", "/mpc_node/get_state", "lifecycle_msgs/srv/GetState")


ACCIDENTS = {
    "A mistyped parameter file": Accident(
        "Nothing is started.",
        ("mbrl_ros", "mpc.launch.py", "params_file:=rbot.yaml"),
        ("params_file: there is no file 'rbot.yaml'; did you mean 'robot.yaml'?",),
        1,
        files(),
    ),
    "No parameter file": Accident(
        "There is no default robot.",
        MPC[:2],
        ("params_file",),
        1,
    ),
    "No interface": Accident(
        "`robot.interface` is missing in robot.yaml.",
        MPC,
        ("robot.interface (what a command is: effort, velocity or position) must be given",),
        1,
        without("interface"),
    ),
    "No joints": Accident(
        "`robot.joints` is missing in robot.yaml.",
        MPC,
        ("robot.joints (the joints in the order of the commands) must be given",),
        1,
        without("joints"),
    ),
    "Parameters of another node": Accident(
        "The heading of robot.yaml is mpc_controller.",
        MPC,
        ("holds nothing for the node /mpc_node",),
        1,
        files(node(ROBOT, "mpc_controller")),
    ),
    "A misspelt setting": Accident(
        "robot.yaml holds the misspelled control.rte.",
        MPC,
        ("unknown setting 'control.rte'; did you mean 'control.rate'?",),
        1,
        files(node({**ROBOT, "control": {"rte": 100.0}})),
    ),
    "A joint that the robot does not have": Accident(
        "`robot.joints` names joint9: `mpc_node` cannot be configured and ends, and the launch with it.",
        MPC,
        ("joint9", "mpc_node has ended with exit code 2; it was asked for"),
        1,
        files(node({"robot": {**ROBOT["robot"], "joints": ["joint1", "joint9"]}})),
    ),
    "A controller that commands another interface": Accident(
        "The parameter file says velocity, the real forward_command_controller commands positions: no command leaves.",
        CONTROLLED,
        (f"no command will be published: the interface of '/{FORWARD}' is position, but robot.interface is velocity",),
        0,
        controlled(joints=["joint1", "joint2"], interface_name="position"),
        refused_by_the_controller,
    ),
    "A controller that commands other joints": Accident(
        "The real forward_command_controller commands joint1 only: no command leaves.",
        CONTROLLED,
        (f"no command will be published: joints of /{FORWARD}", "do not match"),
        0,
        controlled(joints=["joint1"], interface_name="velocity"),
        refused_by_the_controller,
    ),
    "Nobody executes the commands": Accident(
        "The argument `commands` was forgotten: the controller listens elsewhere. Then somebody else publishes, too.",
        MPC,
        (
            "nobody reads the commands on '/commands': the robot does not move",
            "'/commands' has another publisher, which commands the robot too: /_ros2cli_",
        ),
        0,
        files(),
        another_publisher,
    ),
    "A recorder that cannot write": Accident(
        "The folder of the bag is there already; the launch ends with a code.",
        (*MPC, "record:=bag"),
        ("record_node has ended with exit code 2 before the others; it was asked for",),
        1,
        files(**{"bag/old": ""}),
    ),
    "A recorder that is killed": Accident(
        "The launch ends, and the nodes in order: the safe command leaves.",
        (*MPC, "record:=bag"),
        ("record_node has ended with exit code -9 before the others; it was asked for",),
        1,
        files(),
        killed("record_node"),
    ),
    "A guard that is killed": Accident(
        "`mpc_node` stops the arm and holds it; the launch goes on with it.",
        MPC,
        ("guard_node was killed by signal 9; mpc_node stops the arm and holds it",),
        0,
        files(),
        killed("guard_node", "mpc_node stops the arm"),
    ),
    "A controller that is killed": Accident(
        "The guard holds the arm and must go on; the launch goes on with it.",
        MPC,
        ("mpc_node was killed by signal 9; guard_node goes on and holds the arm",),
        0,
        files(),
        killed("mpc_node", "guard_node goes on"),
    ),
    "A bag that is not there": Accident(
        "The controller ends with its player.",
        ("mbrl_ros", "replay.launch.py", "params_file:=robot.yaml", "bag:=run1"),
        ("replay_node has ended with exit code",),
        1,
        files(),
    ),
    "A transition that is refused": Accident(
        "Its caller gets an answer.",
        (*MPC, "autostart:=false"),
        ("success=False", "transition 3 refused: the state 'unconfigured' does not allow it"),
        0,
        files(),
        activated_unconfigured,
    ),
    "A node that is to wait": Accident(
        "robot.yaml says `autostart: false`, and no launch argument says otherwise.",
        MPC,
        ("label='unconfigured'",),
        0,
        files(node({**ROBOT, "autostart": False})),
        left_waiting,
    ),
    "A description that changes": Accident(
        "The driver publishes `robot_description`, and later another one.",
        MPC,
        ("robot_description has changed; the node goes on with the one it was configured with",),
        0,
        without("description"),
        another_description,
    ),
    "Gazebo is not installed": Accident(
        "What is missing is named before anything starts: no controller is left behind without a robot.",
        ("mbrl_ros", "gazebo.launch.py", "headless:=true"),
        ("these packages are not installed: ros_gz_sim, ros_gz_bridge",),
        1,
    ),
}
