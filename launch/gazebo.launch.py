"""Launch a robot in Gazebo with ros2_control, a camera, and its controller.

Needs ros_gz_sim, ros_gz_bridge, gz_ros2_control, controller_manager, joint_state_broadcaster,
forward_command_controller and robot_state_publisher.

ros2 launch mbrl_ros gazebo.launch.py headless:=true
ros2 launch mbrl_ros gazebo.launch.py marker:=0.03           # and image points of a ball at the end effector

Gazebo holds the arm until mpc_node is active, which takes a minute where its planner has to be compiled, and knows the
controller that executes its commands. Only then is that one activated, and with it the one that publishes the states.
"""

import shlex

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.exceptions import MbrlError
from mbrl_ros.nodes import launching
from mbrl_ros.nodes import launching_ros2_control as shared
from mbrl_ros.simulation.gazebo import gazebo_urdf

PACKAGES = ("ros_gz_sim", "ros_gz_bridge", "controller_manager", "robot_state_publisher")


def marker(context: LaunchContext) -> float:
    """Return the radius [m] of the ball at the end effector; 0: there is none."""
    text = launching.given(context, "marker")
    try:
        radius = float(text or 0.0)
    except ValueError:
        radius = -1.0
    if not 0.0 <= radius <= 1.0:
        raise launching.LaunchError(f"marker: write the radius of a ball, at most 1 [m], got '{text}'")
    return radius


def described(context: LaunchContext) -> str:
    """Return the robot of params_file as Gazebo wants it, once the controllers' file was found to fit it."""
    file, namespace = launching.given(context, "controllers_file"), launching.given(context, "namespace")
    try:
        found = shared.simulated(context)
        return gazebo_urdf(found.robot, file, namespace=namespace, initial_position=found.start, marker=marker(context))
    except MbrlError as error:
        raise launching.LaunchError(str(error)) from None


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return everything, after every file was checked: an error leaves nothing behind that commands an arm."""
    launching.require_packages(*PACKAGES)
    urdf, namespace = described(context), launching.given(context, "namespace")
    create = Node(
        package="ros_gz_sim",
        executable="create",
        namespace=namespace,
        output="screen",
        arguments=["-topic", "robot_description", "-name", f"{namespace.strip('/').replace('/', '_') or 'mbrl'}_robot"],
        on_exit=launching.must_succeed,
    )
    drawn = "-r -s --headless-rendering" if launching.given(context, "headless") == "true" else "-r"
    spawner = shared.spawner(context)
    return [
        RegisterEventHandler(OnProcessExit(target_action=create, on_exit=[spawner])),
        shared.activation(context, spawner),
        RegisterEventHandler(OnProcessExit(on_exit=launching.simulator_ends_launch)),
        shared.state_publisher(context, urdf, simulated_time=True),
        IncludeLaunchDescription(
            PathJoinSubstitution([FindPackageShare("ros_gz_sim"), "launch", "gz_sim.launch.py"]),
            launch_arguments={
                # a shell reads these arguments
                "gz_args": f"{drawn} {shlex.quote(launching.given(context, 'world'))}",
                "on_exit_shutdown": "true",
            }.items(),
        ),
        create,
        Node(
            package="ros_gz_bridge",
            executable="parameter_bridge",
            namespace=namespace,
            output="screen",
            parameters=[{"config_file": launching.given(context, "bridge_file"), "use_sim_time": True}],
            on_exit=launching.must_not_end,
        ),
        *features(context),
    ]


def features(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return what finds the ball in the camera's images; nothing where there is no ball."""
    if not marker(context):
        return []
    found = IncludeLaunchDescription(
        PathJoinSubstitution([shared.OWN_SHARE, "launch", "features.launch.py"]),
        launch_arguments={
            "params_file": "",  # params_file is the robot's
            "image": "camera/image_raw",
            "camera_info": "camera/camera_info",
            "method": "color_blob",  # whose default is red
            "use_sim_time": "true",
        }.items(),
    )
    return [GroupAction([found])]  # its arguments are not those of mpc.launch.py


def controller(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return mpc_node and its guard; with the ball, mpc_node tracks one image point unless the file says more."""
    if not marker(context):
        return [shared.controller(simulated_time=True)]
    points = launching.settings(context, launching.params_file(context)).get("features.points", 0) or 1
    return [shared.controller(simulated_time=True, image_points=str(points))]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    config = [shared.OWN_SHARE, "config"]
    return LaunchDescription(
        [
            *shared.arguments(),
            DeclareLaunchArgument(
                "world",
                default_value=PathJoinSubstitution([*config, "gazebo", "world.sdf"]),
                description="SDF of the world",
            ),
            DeclareLaunchArgument(
                "bridge_file",
                default_value=PathJoinSubstitution([*config, "gazebo", "bridge.yaml"]),
                description="YAML of the topics that are bridged from Gazebo",
            ),
            DeclareLaunchArgument(
                "marker",
                default_value="",
                description="radius [m] of a red ball at the end effector, which feature_node finds in the camera's "
                "images for mpc_node; empty: neither ball nor feature_node",
            ),
            # the checks come first, and what commands the arm last
            OpaqueFunction(function=nodes),
            # autostart and the others are declared, with their defaults, in mpc.launch.py
            OpaqueFunction(function=controller),
        ]
    )
