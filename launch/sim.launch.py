r"""Launch a simulated robot (MuJoCo) and its controller.

ros2 launch mbrl_ros sim.launch.py
ros2 topic pub --once /mpc_node/target_point geometry_msgs/msg/PointStamped \
    "{header: {frame_id: panda_link0}, point: {x: 0.5, y: 0.2, z: 0.4}}"
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("mbrl_ros")


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    given = LaunchConfiguration
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "camera",
                default_value="false",
                choices=["true", "false"],
                description="publish the features a camera of unknown pose sees",
            ),
            # params_file, namespace, autostart, lockstep and the others are declared in mpc.launch.py
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, "launch", "mpc.launch.py"]), launch_arguments={"guard": "false"}.items()
            ),
            Node(
                package="mbrl_ros",
                executable="sim_node",
                name="sim_node",
                namespace=given("namespace"),
                output="screen",
                parameters=[
                    given("params_file"),
                    {name: ParameterValue(given(name), value_type=bool) for name in ("camera", "lockstep")},
                ],
                remappings=[(name, given(name)) for name in ("joint_states", "commands")],
                ros_arguments=["--log-level", given("log_level")],
                on_exit=Shutdown(reason="sim_node ended"),
            ),
        ]
    )
