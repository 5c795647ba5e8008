"""Launch the playback of a bag, in its own time, for a controller that commands no robot.

ros2 launch mbrl_ros replay.launch.py bag:=run1 params_file:=my_robot.yaml

The controller plans on every recorded state and publishes on ~/shadow_commands. Its settings are those of params_file;
`mbrl replay` replays with the recorded ones, offline and to the last bit.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

DEFAULT = PathJoinSubstitution([FindPackageShare("mbrl_ros"), "config", "panda.yaml"])


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    given = LaunchConfiguration
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
                "params_file", default_value=DEFAULT, description="YAML with the controller's parameters"
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
                choices=["debug", "info", "warn", "error", "fatal"],
                description="lowest severity that is logged",
            ),
            Node(
                package="mbrl_ros",
                executable="mpc_node",
                name="mpc_node",
                namespace=given("namespace"),
                output="screen",
                parameters=[given("params_file"), {"use_sim_time": True, "shadow": True, "end_with_parent": True}],
                remappings=[("joint_states", given("joint_states"))],
                ros_arguments=["--log-level", given("log_level")],
            ),
            Node(
                package="mbrl_ros",
                executable="replay_node",
                name="replay_node",
                output="screen",
                parameters=[
                    {
                        "bag": given("bag"),
                        "rate": ParameterValue(given("rate"), value_type=float),
                        "loop": ParameterValue(given("loop"), value_type=bool),
                        "patience": 120.0,
                    }
                ],  # the controller may have to compile its planner first
                ros_arguments=["--log-level", given("log_level")],
                on_exit=Shutdown(reason="the bag has been played"),
            ),
        ]
    )
