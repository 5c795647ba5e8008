"""Launch model_health_node beside the controller of a robot; it commands nothing.

ros2 launch mbrl_ros health.launch.py params_file:=my_robot.yaml
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from mbrl_ros.nodes import launching


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the node; an error, before it starts, where the parameter file is none of its own."""
    remappings = [(name, launching.given(context, name)) for name in ("joint_states", "commands")]
    return [
        launching.node(
            "model_health_node",
            parameters=[
                launching.params_file(context, "model_health_node"),
                {"end_with_parent": True, **launching.switches(context, ("use_sim_time",))},
            ],
            remappings=remappings,
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
            DeclareLaunchArgument("params_file", description="YAML with the parameters of model_health_node"),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                choices=launching.SWITCH,
                description="take the time from the topic /clock; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "joint_states", default_value="joint_states", description="topic of the robot's state"
            ),
            DeclareLaunchArgument(
                "commands",
                default_value="commands",
                description="topic of the other controller's commands; not used with robot.interface: effort",
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
