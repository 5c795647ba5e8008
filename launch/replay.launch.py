"""Launch the playback of a bag, in its own time, for a controller that commands no robot.

ros2 launch mbrl_ros replay.launch.py bag:=run1 params_file:=my_robot.yaml

The controller plans on every recorded state and publishes on ~/shadow_commands. Its settings are those of params_file;
`mbrl replay` replays with the recorded ones, offline and to the last bit.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.nodes import launching

DEFAULT = PathJoinSubstitution([FindPackageShare("mbrl_ros"), "config", "panda.yaml"])
PATIENCE = 120.0  # [s] the controller may have to compile its planner first


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the controller and the playback; an error, before anything starts, where the parameter file is wrong."""
    params_file = launching.require_robot(context, shadow=True)
    ros_arguments = ["--log-level", launching.given(context, "log_level")]
    return [
        launching.node(
            "mpc_node",
            parameters=[params_file, {"use_sim_time": True, "shadow": True, "end_with_parent": True}],
            remappings=[("joint_states", launching.given(context, "joint_states"))],
            ros_arguments=ros_arguments,
            on_exit=launching.ends_launch,
        ),
        launching.node(
            "replay_node",
            namespace="",
            parameters=[
                {
                    "bag": launching.given(context, "bag"),
                    "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
                    "loop": ParameterValue(LaunchConfiguration("loop"), value_type=bool),
                    "patience": PATIENCE,
                }
            ],
            ros_arguments=ros_arguments,
            on_exit=launching.ends_launch,
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="rosbag2 folder, .db3 or .mcap"),
            DeclareLaunchArgument(
                "rate", default_value="1.0", description="speed of the playback: 2.0 plays twice as fast"
            ),
            DeclareLaunchArgument(
                "loop",
                default_value="false",
                choices=["true", "false"],
                description="begin again at the end of the bag",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=DEFAULT,
                description="YAML with the parameters of the robot that was recorded",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="namespace of the controller and its topics"
            ),
            DeclareLaunchArgument(
                "joint_states", default_value="joint_states", description="topic of the robot's state in the bag"
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=launching.LOG_LEVELS,
                description="lowest severity that is logged",
            ),
            OpaqueFunction(function=nodes),
        ]
    )
