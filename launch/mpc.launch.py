"""Launch the controller and its guard, for a real robot that publishes joint_states and executes commands.

ros2 launch mbrl_ros mpc.launch.py params_file:=my_robot.yaml commands:=forward_effort_controller/commands
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import (
    IfElseSubstitution,
    LaunchConfiguration,
    NotEqualsSubstitution,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

DEFAULT = PathJoinSubstitution([FindPackageShare("mbrl_ros"), "config", "panda.yaml"])


def arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments, with their defaults."""
    return [
        DeclareLaunchArgument("params_file", default_value=DEFAULT, description="YAML with the node's parameters"),
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            choices=["true", "false"],
            description="take the time from the topic /clock",
        ),
        DeclareLaunchArgument(
            "autostart",
            default_value="true",
            choices=["true", "false"],
            description="configure and activate at start; otherwise wait for lifecycle transitions",
        ),
        DeclareLaunchArgument(
            "lockstep",
            default_value="false",
            choices=["true", "false"],
            description="one command per state whatever the clock says; for sim_node in lockstep",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="lowest severity that is logged",
        ),
        DeclareLaunchArgument("joint_states", default_value="joint_states", description="topic of the robot's state"),
        DeclareLaunchArgument(
            "commands",
            default_value="commands",
            description="topic to which the robot's controller subscribes, e.g. forward_effort_controller/commands",
        ),
        DeclareLaunchArgument(
            "guard",
            default_value="true",
            choices=["true", "false"],
            description="start guard_node between the controller and the robot; false for a simulation",
        ),
        DeclareLaunchArgument(
            "record",
            default_value="",
            description="folder, created anew, for a bag of everything that mbrl replay needs; empty: no recording",
        ),
        DeclareLaunchArgument("enclave", default_value="/", description="security enclave of the node (SROS2)"),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    given = LaunchConfiguration
    controller = Node(
        package="mbrl_ros",
        executable="mpc_node",
        name="mpc_node",
        namespace=given("namespace"),
        output="screen",
        parameters=[
            given("params_file"),
            {"end_with_parent": True},
            {"guard": ParameterValue(IfElseSubstitution(given("guard"), "guard_node", ""), value_type=str)},
            {name: ParameterValue(given(name), value_type=bool) for name in ("use_sim_time", "autostart", "lockstep")},
        ],
        remappings=[(name, given(name)) for name in ("joint_states", "commands")],
        ros_arguments=["--log-level", given("log_level"), "--enclave", given("enclave")],
    )
    guard = Node(
        package="mbrl_ros",
        executable="guard_node",
        name="guard_node",
        namespace=given("namespace"),
        output="screen",
        parameters=[given("params_file"), {"end_with_parent": True}],
        remappings=[(name, given(name)) for name in ("joint_states", "commands")],
        condition=IfCondition(given("guard")),
        ros_arguments=["--log-level", given("log_level"), "--enclave", given("enclave")],
    )
    recorder = Node(
        package="mbrl_ros",
        executable="record_node",
        name="record_node",
        namespace=given("namespace"),
        output="screen",
        parameters=[{"output": given("record")}],
        condition=IfCondition(NotEqualsSubstitution(given("record"), "")),
        ros_arguments=["--log-level", given("log_level")],
    )
    return LaunchDescription([*arguments(), guard, controller, recorder])
