"""Launch a simulated robot as hardware of ros2_control, with its controllers, and mpc_node.

ros2 launch mbrl_ros hardware.launch.py                      # sim_node behind topics
ros2 launch mbrl_ros hardware.launch.py hardware:=mujoco     # mujoco_ros2_control

Needs controller_manager, joint_state_broadcaster, forward_command_controller, robot_state_publisher and
joint_state_topic_hardware_interface or mujoco_ros2_control. The controllers are activated once mpc_node can command.
"""

from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import launch_config
from launch_ros.actions import Node

from mbrl_ros.config.sections.simulation import PlantSettings
from mbrl_ros.exceptions import MbrlError
from mbrl_ros.nodes import launching
from mbrl_ros.nodes import launching_ros2_control as shared
from mbrl_ros.simulation.hardware import mujoco_urdf, topic_urdf
from mbrl_ros.simulation.mjcf_file import write_mjcf

COMMANDS, STATES = "simulated/joint_commands", "simulated/joint_states"
PACKAGES = {"topics": "joint_state_topic_hardware_interface", "mujoco": "mujoco_ros2_control"}


def topics(context: LaunchContext) -> tuple[str, str]:
    """Return the full names of the topics between sim_node and the plug-in: commands, states."""
    above = launching.full_name(context, "")
    return f"{above}{COMMANDS}", f"{above}{STATES}"


def described(context: LaunchContext) -> str:
    """Return the robot of params_file with its hardware, once the controllers' file was found to fit it."""
    try:
        found = shared.simulated(context)
        if launching.given(context, "hardware") == "topics":
            return topic_urdf(found.robot, *topics(context), found.start)
        model = launching.given(context, "mujoco_model")
        if not model:
            model = str(Path(launch_config.log_dir) / "robot.xml")  # beside the launch's log, kept with it
            write_mjcf(found.robot, launching.section(found.plant, "plant", PlantSettings, found.path), Path(model))
        return mujoco_urdf(found.robot, model, found.start, headless=launching.given(context, "headless") == "true")
    except MbrlError as error:
        raise launching.LaunchError(str(error)) from None


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return everything, after every file was checked."""
    hardware, file = launching.given(context, "hardware"), launching.given(context, "controllers_file")
    launching.require_packages("controller_manager", "robot_state_publisher", PACKAGES[hardware])
    urdf, simulated_time = described(context), hardware == "mujoco"
    spawner = shared.spawner(context)
    manager: dict[str, Any] = {
        "executable": "ros2_control_node",
        "namespace": launching.given(context, "namespace"),
        "output": "screen",
        "parameters": [file, {"use_sim_time": simulated_time}],
        "on_exit": launching.must_not_end,
    }
    actions: list[LaunchDescriptionEntity] = [
        shared.activation(context, spawner),
        shared.state_publisher(context, urdf, simulated_time=simulated_time),
        # that of mujoco_ros2_control waits for the clock, which its own plug-in publishes
        Node(package="mujoco_ros2_control" if simulated_time else "controller_manager", **manager),
        spawner,
    ]
    if hardware == "topics":
        commands, states = topics(context)
        simulation = launching.node(
            "sim_node",
            parameters=[launching.params_file(context, "sim_node"), {"joint_commands": commands}],
            remappings=[("joint_states", states)],
            on_exit=launching.ends_launch,
        )
        actions.insert(0, simulation)
    return [*actions, shared.controller(simulated_time=simulated_time)]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "hardware",
                default_value="topics",
                choices=["topics", "mujoco"],
                description="sim_node behind joint_state_topic_hardware_interface, or mujoco_ros2_control",
            ),
            *shared.arguments(),
            DeclareLaunchArgument(
                "mujoco_model",
                default_value="",
                description="MJCF with an actuator for every joint; empty: what sim_node simulates, with motors",
            ),
            OpaqueFunction(function=nodes),
        ]
    )
