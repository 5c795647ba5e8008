"""Launch RViz with the robot, the plan, its target and a target to drag, for a controller that runs.

ros2 launch mbrl_ros rviz.launch.py params_file:=my_robot.yaml

Where the parameter file holds no description of the robot, or `state_publisher:=false` says so, the robot's driver
publishes it, and RViz takes it from the topic robot_description.
"""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.nodes import launching
from mbrl_ros.robots import Robot, load_robot
from mbrl_ros.robots.meshes import shaped

SHARE = FindPackageShare("mbrl_ros")


def robot_settings(values: Mapping[str, Any], path: str) -> RobotSettings:
    """Return what a parameter file says of the robot."""
    return launching.section(values, "robot", RobotSettings, path)


def robot_of(values: Mapping[str, Any], path: str) -> Robot | None:
    """Return the robot that a parameter file describes; None where its driver publishes the description."""
    section = robot_settings(values, path)
    text = str(values.get("robot_description", ""))
    return load_robot(section, text or None) if text or section.description else None


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the nodes that depend on the robot of params_file."""
    path = launching.params_file(context)
    values = launching.settings(context, path)
    robot = robot_of(values, path)
    frame, wanted = launching.given(context, "frame"), launching.given(context, "state_publisher")
    time = {"use_sim_time": launching.switched(context, "use_sim_time", path)}
    namespace = launching.given(context, "namespace")
    started: list[LaunchDescriptionEntity] = []
    if wanted == "true" and robot is None:
        raise launching.LaunchError(
            "state_publisher:=true needs a description of the robot in params_file (robot.description); "
            "leave the argument out where the robot's driver publishes robot_description"
        )
    if robot is not None and wanted != "false":
        urdf = ElementTree.tostring(shaped(robot.urdf, robot.joints), encoding="unicode")
        launching.require_packages("robot_state_publisher")
        started.append(
            Node(
                package="robot_state_publisher",
                executable="robot_state_publisher",
                namespace=namespace,
                parameters=[{"robot_description": ParameterValue(urdf, value_type=str)}, time],
                on_exit=launching.must_not_end,
            )
        )
    frame = frame or (robot.root if robot is not None else "")
    started.append(
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=namespace,
            parameters=[time],
            arguments=["-d", PathJoinSubstitution([SHARE, "config", "mpc.rviz"]), *(["-f", frame] if frame else [])],
            on_exit=launching.ends_launch,
        )
    )
    target = launching.given(context, "target")
    if target != "off":
        own = {key: value for key, value in values.items() if key.startswith("robot.") or key == "robot_description"}
        started.append(
            launching.node(
                "display_node",
                namespace=namespace,
                parameters=[own, {"send_on_release": target == "release"}, time],
                on_exit=launching.must_not_end,
            )
        )
    return started


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    both = ["true", "false"]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "panda.yaml"]),
                description="YAML with the controller's parameters; its robot is drawn",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="the controller's namespace"),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                choices=launching.SWITCH,
                description="take the time from the topic /clock; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "state_publisher",
                default_value="",
                choices=["", *both],
                description="start a robot_state_publisher; empty: if params_file holds the robot's description",
            ),
            DeclareLaunchArgument(
                "frame",
                default_value="",
                description="frame that RViz shows as fixed; empty: the robot's root, or that of config/mpc.rviz",
            ),
            DeclareLaunchArgument(
                "target",
                default_value="menu",
                choices=["menu", "release", "off"],
                description="the interactive target is sent by its menu, or as the mouse lets go of it; off: there is "
                "neither a target to drag nor the ghost of the plan",
            ),
            OpaqueFunction(function=nodes),
        ]
    )
