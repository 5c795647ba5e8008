"""Launch a simulated robot (MuJoCo) with several arms, and a controller with its guard for each arm.

ros2 launch mbrl_ros two_arms.launch.py
ros2 topic pub --once /left/mpc_node/target_point geometry_msgs/msg/PointStamped \
    "{header: {frame_id: base}, point: {x: 0.7, y: 0.3, z: 0.2}}"
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.nodes import launching

SHARE = FindPackageShare("mbrl_ros")
SWITCHES = ("lockstep",)
ARGUMENTS = ("params_file", "lockstep", "guard", "log_level")  # of mpc.launch.py


def robot(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the simulated robot, and the controllers in their namespaces."""
    arguments = {name: launching.given(context, name) for name in ARGUMENTS}
    file, states = PathJoinSubstitution([SHARE, "launch", "mpc.launch.py"]), launching.given(context, "joint_states")
    controllers = [
        GroupAction(
            [
                IncludeLaunchDescription(
                    file, launch_arguments={**arguments, "namespace": name, "joint_states": states}.items()
                )
            ]
        )
        for name in launching.namespaces(context, "arms")
    ]
    simulated = launching.node(
        "sim_node",
        parameters=[launching.params_file(context, "sim_node"), launching.switches(context, SWITCHES)],
        remappings=[("joint_states", states)],
        ros_arguments=["--log-level", launching.given(context, "log_level")],
        on_exit=launching.ends_launch,
    )
    return [*controllers, simulated]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "baxter.yaml"]),
                description="YAML with the parameters of the simulated robot, and of each arm's controller",
            ),
            DeclareLaunchArgument(
                "arms", default_value="left,right", description="namespaces of the controllers, separated by commas"
            ),
            DeclareLaunchArgument(
                "joint_states", default_value="/joint_states", description="topic of the state of the whole robot"
            ),
            DeclareLaunchArgument(
                "lockstep",
                default_value="",
                choices=launching.SWITCH,
                description="every state waits for the commands of all controllers; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "guard",
                default_value="",
                choices=launching.SWITCH,
                description="guard_node between each controller and the robot; empty: as params_file says, else true",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=launching.LOG_LEVELS,
                description="lowest severity that is logged",
            ),
            OpaqueFunction(function=robot),
        ]
    )
