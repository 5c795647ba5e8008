"""What the launch files of a simulated robot behind ros2_control share, whatever simulates it.

The controllers are loaded and configured, and activated only once mpc_node can command them: an arm whose efforts
nobody commands falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from ..config.sections.control import ControlSettings
from ..config.sections.robot import RobotSettings
from ..robots import Robot, load_robot
from ..simulation.gazebo import check_controllers
from . import launching

OWN_SHARE = FindPackageShare("mbrl_ros")
FORWARD = "forward_command_controller"
LOADED = (FORWARD, "joint_state_broadcaster")  # the states begin when commands are already executed


def arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments that these launch files have in common."""
    config = [OWN_SHARE, "config"]
    return [
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([*config, "panda.yaml"]),
            description="YAML with the parameters of the robot and its simulation",
        ),
        DeclareLaunchArgument(
            "controllers_file",
            default_value=PathJoinSubstitution([*config, "gazebo", "panda_controllers.yaml"]),
            description="YAML of the ros2_control controllers, for the joints, interface and rate of params_file",
        ),
        DeclareLaunchArgument(
            "headless",
            default_value="false",
            choices=["true", "false"],
            description="run without the simulator's window; a camera is rendered all the same",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes and their topics"),
    ]


@dataclass(frozen=True)
class Simulated:
    """A robot of a parameter file, and what the file gives mpc_node (`values`) and sim_node (`plant`)."""

    path: str
    robot: Robot
    values: Mapping[str, Any]
    plant: Mapping[str, Any]

    @property
    def start(self) -> tuple[float, ...]:
        """Where the joints start (n,) [rad or m]; empty: at zero."""
        return tuple(self.plant.get("plant.initial_position", ()))


def simulated(context: LaunchContext) -> Simulated:
    """Return the robot of params_file, once the controllers' file was found to fit it.

    Raises
    ------
    LaunchError, MbrlError
        A file cannot be read, or says something wrong for the robot.
    """
    path = launching.require_robot(context)
    values, plant = launching.settings(context, path), launching.settings(context, path, "sim_node")
    robot = load_robot(launching.section(values, "robot", RobotSettings, path), values.get("robot_description"))
    rate = launching.section(values, "control", ControlSettings, path).rate
    file, namespace = launching.given(context, "controllers_file"), launching.given(context, "namespace")
    check_controllers(file, robot, rate, forward=FORWARD, namespace=namespace)
    return Simulated(path, robot, values, plant)


def spawner(context: LaunchContext) -> Node:
    """Return the process that loads and configures the controllers."""
    return Node(
        package="controller_manager",
        executable="spawner",
        namespace=launching.given(context, "namespace"),
        output="screen",
        arguments=[
            *LOADED,
            "--param-file",
            launching.given(context, "controllers_file"),
            "--controller-manager",
            "controller_manager",
            "--inactive",
        ],
        on_exit=launching.must_succeed,
    )


def activation(context: LaunchContext, spawned: Node) -> LaunchDescriptionEntity:
    """Return what activates the controllers once `spawned` has configured them and mpc_node commands."""
    active = launching.activation(context, *LOADED)
    return RegisterEventHandler(OnProcessExit(target_action=spawned, on_exit=[active]))


def state_publisher(context: LaunchContext, urdf: str, *, simulated_time: bool) -> Node:
    """Return robot_state_publisher, from which the controller manager has the robot's description."""
    return Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        namespace=launching.given(context, "namespace"),
        parameters=[{"robot_description": ParameterValue(urdf, value_type=str), "use_sim_time": simulated_time}],
        on_exit=launching.must_not_end,
    )


def controller(*, simulated_time: bool, **more: str) -> IncludeLaunchDescription:
    """Return mpc.launch.py with the controllers' commands; its other arguments are declared there, with defaults."""
    own = {
        "params_file": LaunchConfiguration("params_file"),
        "use_sim_time": str(simulated_time).lower(),
        "commands": f"{FORWARD}/commands",
        **more,
    }
    return IncludeLaunchDescription(
        PathJoinSubstitution([OWN_SHARE, "launch", "mpc.launch.py"]), launch_arguments=own.items()
    )
