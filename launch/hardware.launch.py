"""Launch a simulated robot as hardware of ros2_control, with its controllers, and mpc_node.

ros2 launch mbrl_ros hardware.launch.py                      # sim_node behind topics
ros2 launch mbrl_ros hardware.launch.py hardware:=mujoco     # mujoco_ros2_control

Needs controller_manager, joint_state_broadcaster, forward_command_controller, robot_state_publisher and
joint_state_topic_hardware_interface or mujoco_ros2_control. The controllers are activated once mpc_node can command.
"""

import tempfile
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.config.sections.control import ControlSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import MbrlError
from mbrl_ros.nodes import launching
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.gazebo import check_controllers
from mbrl_ros.simulation.hardware import mujoco_urdf, topic_urdf
from mbrl_ros.simulation.mjcf_file import write_mjcf

SHARE = FindPackageShare("mbrl_ros")
FORWARD = "forward_command_controller"
CONTROLLERS = [FORWARD, "joint_state_broadcaster"]  # the states begin when commands are already executed
COMMANDS, STATES = "/simulated/joint_commands", "/simulated/joint_states"
PACKAGES = {"topics": "joint_state_topic_hardware_interface", "mujoco": "mujoco_ros2_control"}


def described(context: LaunchContext) -> str:
    """Return the robot of params_file with its hardware, once the controllers' file was found to fit it."""
    path = launching.require_robot(context)
    values, simulated = launching.settings(context, path), launching.settings(context, path, "sim_node")
    try:
        robot = load_robot(launching.section(values, "robot", RobotSettings, path), values.get("robot_description"))
        rate = launching.section(values, "control", ControlSettings, path).rate
        check_controllers(launching.given(context, "controllers_file"), robot, rate, forward=FORWARD)
        start = simulated.get("plant.initial_position", ())
        if launching.given(context, "hardware") == "topics":
            return topic_urdf(robot, COMMANDS, STATES, start)
        model = launching.given(context, "mujoco_model")
        if not model:
            model = str(Path(tempfile.mkdtemp(prefix="mbrl_ros_")) / "robot.xml")
            write_mjcf(robot, launching.section(simulated, "plant", PlantSettings, path), Path(model))
        return mujoco_urdf(robot, model, start, headless=launching.given(context, "headless") == "true")
    except MbrlError as error:
        raise launching.LaunchError(str(error)) from None


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return everything, after every file was checked."""
    hardware, file = launching.given(context, "hardware"), launching.given(context, "controllers_file")
    launching.require_packages("controller_manager", "robot_state_publisher", PACKAGES[hardware])
    urdf, simulated_time = described(context), hardware == "mujoco"
    spawner = Node(
        package="controller_manager",
        executable="spawner",
        output="screen",
        arguments=[*CONTROLLERS, "--param-file", file, "--inactive"],
        on_exit=launching.must_succeed,
    )
    manager: dict[str, Any] = {
        "executable": "ros2_control_node",
        "output": "screen",
        "parameters": [file, {"use_sim_time": simulated_time}],
        "on_exit": launching.must_not_end,
    }
    active = launching.activation(context, *CONTROLLERS)
    actions: list[LaunchDescriptionEntity] = [
        RegisterEventHandler(OnProcessExit(target_action=spawner, on_exit=[active])),
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            parameters=[
                {"robot_description": ParameterValue(urdf, value_type=str), "use_sim_time": simulated_time},
            ],
            on_exit=launching.must_not_end,
        ),
        Node(package="mujoco_ros2_control", **manager)
        if simulated_time
        else Node(package="controller_manager", **manager),
        spawner,
    ]
    if hardware == "topics":
        simulation = launching.node(
            "sim_node",
            parameters=[launching.params_file(context, "sim_node"), {"joint_commands": COMMANDS}],
            remappings=[("joint_states", STATES)],
            on_exit=launching.ends_launch,
        )
        actions.insert(0, simulation)
    mpc = IncludeLaunchDescription(
        PathJoinSubstitution([SHARE, "launch", "mpc.launch.py"]),
        launch_arguments={
            "params_file": LaunchConfiguration("params_file"),
            "use_sim_time": str(simulated_time).lower(),
            "commands": f"{FORWARD}/commands",
        }.items(),
    )
    return [*actions, mpc]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    config = [SHARE, "config"]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "hardware",
                default_value="topics",
                choices=["topics", "mujoco"],
                description="sim_node behind joint_state_topic_hardware_interface, or mujoco_ros2_control",
            ),
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
                "mujoco_model",
                default_value="",
                description="MJCF with an actuator for every joint; empty: what sim_node simulates, with motors",
            ),
            DeclareLaunchArgument(
                "headless",
                default_value="false",
                choices=["true", "false"],
                description="run mujoco_ros2_control without its window",
            ),
            OpaqueFunction(function=nodes),
        ]
    )
