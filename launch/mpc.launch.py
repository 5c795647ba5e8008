"""Launch the controller and its guard, for a real robot that publishes joint_states and executes commands.

ros2 launch mbrl_ros mpc.launch.py params_file:=my_robot.yaml commands:=forward_effort_controller/commands
"""

from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from mbrl_ros.nodes import launching

SWITCHES = ("use_sim_time", "autostart", "lockstep")


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the nodes; an error, before anything starts, where the parameter file does not configure the robot."""
    params_file, record = launching.require_robot(context), launching.given(context, "record")
    ros_arguments = ["--log-level", launching.given(context, "log_level")]
    guard_name = launching.guard_name(context, params_file)
    remappings = [(name, launching.given(context, name)) for name in ("joint_states", "commands")]
    enclave = ["--enclave", launching.given(context, "enclave")]
    own: dict[str, Any] = {"end_with_parent": True, "guard": guard_name}
    if points := launching.given(context, "image_points"):
        own["features.points"] = launching.whole("image_points", points)
    in_lockstep = launching.switched(context, "lockstep", params_file)
    controller = launching.node(
        "mpc_node",
        parameters=[params_file, {**own, **launching.switches(context, SWITCHES)}],
        remappings=remappings,
        ros_arguments=[*ros_arguments, *enclave],
        # in lockstep an arm without its controller stands still, and so does its time
        on_exit=launching.left_to_guard if guard_name and not in_lockstep else launching.ends_launch,
    )
    guard = launching.node(
        "guard_node",
        called=guard_name,
        parameters=[
            params_file,
            {"end_with_parent": True, "use_sim_time": launching.switched(context, "use_sim_time", params_file)},
        ],
        remappings=remappings,
        ros_arguments=[*ros_arguments, *enclave],
        # an arm that is moved stays with mpc_node, which brakes it past its guard
        on_exit=launching.must_not_end if in_lockstep else launching.left_to_controller,
    )
    started = [guard, controller] if guard_name else [controller]
    if not record:
        return started
    recorder = launching.node(
        "record_node",
        parameters=[{"output": record}],
        ros_arguments=ros_arguments,
        on_exit=launching.must_not_end,
    )
    return [*started, recorder]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("params_file", description="YAML with the robot's parameters"),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                choices=launching.SWITCH,
                description="take the time from the topic /clock; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "autostart",
                default_value="",
                choices=launching.SWITCH,
                description="configure and activate at start; false: wait for transitions; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "lockstep",
                default_value="",
                choices=launching.SWITCH,
                description="one command per state, for sim_node in lockstep; empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "log_level",
                default_value="info",
                choices=launching.LOG_LEVELS,
                description="lowest severity that is logged",
            ),
            DeclareLaunchArgument(
                "joint_states", default_value="joint_states", description="topic of the robot's state"
            ),
            DeclareLaunchArgument(
                "commands",
                default_value="commands",
                description="topic to which the robot's controller subscribes, e.g. forward_effort_controller/commands",
            ),
            DeclareLaunchArgument(
                "guard",
                default_value="",
                choices=launching.SWITCH,
                description="guard_node between controller and robot; empty: as params_file says, else true",
            ),
            DeclareLaunchArgument(
                "image_points",
                default_value="",
                description="number of image points that mpc_node tracks (features.points); empty: as params_file says",
            ),
            DeclareLaunchArgument(
                "record",
                default_value="",
                description="folder, created anew, for a bag of everything that mbrl replay needs; empty: no recording",
            ),
            DeclareLaunchArgument("enclave", default_value="/", description="security enclave of the node (SROS2)"),
            OpaqueFunction(function=nodes),
        ]
    )
