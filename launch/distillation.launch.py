r"""Launch distillation_node alone, on any machine that receives the robots' supervision topics.

ros2 launch mbrl_ros distillation.launch.py folder:=policies \
    topics:='[/left/mpc_node/supervision, /right/mpc_node/supervision]'
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

DEFAULT = PathJoinSubstitution([FindPackageShare("mbrl_ros"), "config", "distillation.yaml"])


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    given = LaunchConfiguration
    return LaunchDescription(
        [
            DeclareLaunchArgument("params_file", default_value=DEFAULT, description="YAML with the node's parameters"),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
            DeclareLaunchArgument(
                "topics",
                default_value="[mpc_node/supervision]",
                description="supervision topics, one for each robot that teaches",
            ),
            DeclareLaunchArgument(
                "folder",
                default_value="",
                description="folder of checkpoints, from which the node resumes; empty: none",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=["debug", "info", "warn", "error", "fatal"],
                description="lowest severity that is logged",
            ),
            DeclareLaunchArgument("enclave", default_value="/", description="security enclave of the node (SROS2)"),
            Node(
                package="mbrl_ros",
                executable="distillation_node",
                name="distillation_node",
                namespace=given("namespace"),
                output="screen",
                parameters=[
                    given("params_file"),
                    {
                        "topics": ParameterValue(given("topics"), value_type=list[str]),
                        "folder": ParameterValue(given("folder"), value_type=str),
                    },
                ],
                ros_arguments=["--log-level", given("log_level"), "--enclave", given("enclave")],
            ),
        ]
    )
