r"""Launch a simulated robot (MuJoCo), its controller and its guard.

ros2 launch mbrl_ros sim.launch.py
ros2 topic pub --once /mpc_node/target_point geometry_msgs/msg/PointStamped \
    "{header: {frame_id: panda_link0}, point: {x: 0.5, y: 0.2, z: 0.4}}"
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.nodes import launching

SHARE = FindPackageShare("mbrl_ros")
SWITCHES = ("camera", "lockstep")


def simulation(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the simulated robot."""
    return [
        launching.node(
            "sim_node",
            parameters=[launching.params_file(context, "sim_node"), launching.switches(context, SWITCHES)],
            remappings=[(name, launching.given(context, name)) for name in ("joint_states", "commands")],
            ros_arguments=["--log-level", launching.given(context, "log_level")],
            on_exit=launching.ends_launch,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "panda.yaml"]),
                description="YAML with the parameters of the robot and its simulation",
            ),
            DeclareLaunchArgument(
                "camera",
                default_value="",
                choices=launching.SWITCH,
                description="publish the features a camera of unknown pose sees; empty: as params_file says",
            ),
            # namespace, autostart, lockstep and the others are declared in mpc.launch.py
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, "launch", "mpc.launch.py"]),
                launch_arguments={"params_file": LaunchConfiguration("params_file")}.items(),
            ),
            OpaqueFunction(function=simulation),
        ]
    )
