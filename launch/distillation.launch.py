r"""Launch distillation_node alone, on any machine that receives the robots' supervision topics.

ros2 launch mbrl_ros distillation.launch.py folder:=policies \
    topics:='[/left/mpc_node/supervision, /right/mpc_node/supervision]'
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.nodes import launching

DEFAULT = PathJoinSubstitution([FindPackageShare("mbrl_ros"), "config", "distillation.yaml"])
KINDS = {"topics": list[str], "folder": str}


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the node; its arguments override the parameter file where they are given."""
    overrides = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, kind in KINDS.items()
        if launching.given(context, name)
    }
    return [
        launching.node(
            "distillation_node",
            parameters=[launching.params_file(context, "distillation_node"), *([overrides] if overrides else [])],
            ros_arguments=[
                "--log-level",
                launching.given(context, "log_level"),
                "--enclave",
                launching.given(context, "enclave"),
            ],
            on_exit=launching.ends_launch,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("params_file", default_value=DEFAULT, description="YAML with the node's parameters"),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
            DeclareLaunchArgument(
                "topics",
                default_value="",
                description="supervision topics, one for each robot that teaches; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "folder",
                default_value="",
                description="folder of checkpoints, from which the node resumes; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=launching.LOG_LEVELS,
                description="lowest severity that is logged",
            ),
            DeclareLaunchArgument("enclave", default_value="/", description="security enclave of the node (SROS2)"),
            OpaqueFunction(function=nodes),
        ]
    )
