"""Launch feature_node: image points for mpc_node from the images of a camera's driver.

ros2 launch mbrl_ros features.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
"""

from typing import Any

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from mbrl_ros.nodes import launching


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the node; its arguments override the parameter file where they are given."""
    image, file = launching.given(context, "image"), launching.given(context, "params_file")
    own: dict[str, Any] = {name: value for name in ("method", "transport") if (value := launching.given(context, name))}
    own.update(launching.switches(context, ("use_sim_time",)))
    given = [launching.params_file(context, "feature_node")] if file else []
    return [
        launching.node(
            "feature_node",
            parameters=[*given, *([own] if own else [])],
            remappings=[
                ("image", image),
                ("image/compressed", f"{image}/compressed"),
                ("camera_info", launching.given(context, "camera_info")),
                ("features", launching.given(context, "features")),
            ],
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
            DeclareLaunchArgument(
                "params_file", default_value="", description="YAML with the node's parameters; empty: none"
            ),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its topics"),
            DeclareLaunchArgument("image", default_value="image", description="topic of the camera's images"),
            DeclareLaunchArgument(
                "camera_info", default_value="camera_info", description="topic of the camera's calibration"
            ),
            DeclareLaunchArgument("features", default_value="features", description="topic that mpc_node reads"),
            DeclareLaunchArgument(
                "method", default_value="", description="how points are found; empty: as params_file says, or aruco"
            ),
            DeclareLaunchArgument(
                "transport",
                default_value="",
                choices=["", "raw", "compressed"],
                description="which images are read; empty: as params_file says, or raw",
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                choices=launching.SWITCH,
                description="take the time from the topic /clock; empty: as params_file says",
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
