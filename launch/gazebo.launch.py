"""Launch a robot in Gazebo with ros2_control, a camera, and its controller.

Needs ros_gz_sim, ros_gz_bridge, gz_ros2_control, controller_manager, joint_state_broadcaster,
forward_command_controller and robot_state_publisher.

ros2 launch mbrl_ros gazebo.launch.py headless:=true

Gazebo holds the arm until mpc_node is active, which takes a minute where its planner has to be compiled, and knows the
controller that executes its commands. Only then is that one activated, and with it the one that publishes the states.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.config.sections.control import ControlSettings
from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.exceptions import MbrlError
from mbrl_ros.nodes import launching
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.gazebo import check_controllers, gazebo_urdf

SHARE = FindPackageShare("mbrl_ros")
FORWARD = "forward_command_controller"
CONTROLLERS = [FORWARD, "joint_state_broadcaster"]  # the states begin when commands are already executed
PACKAGES = ("ros_gz_sim", "ros_gz_bridge", "controller_manager", "robot_state_publisher")


def described(context: LaunchContext) -> str:
    """Return the robot of params_file as Gazebo wants it, once the controllers' file was found to fit it."""
    path, namespace = launching.require_robot(context), launching.given(context, "namespace")
    controllers = launching.given(context, "controllers_file")
    values = launching.settings(context, path)
    try:
        robot = load_robot(launching.section(values, "robot", RobotSettings, path), values.get("robot_description"))
        rate = launching.section(values, "control", ControlSettings, path).rate
        check_controllers(controllers, robot, rate, forward=FORWARD, namespace=namespace)
        start = launching.settings(context, path, "sim_node").get("plant.initial_position", ())
        return gazebo_urdf(robot, controllers, namespace=namespace, initial_position=start)
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
    return [
        *activation(create, context),
        RegisterEventHandler(OnProcessExit(on_exit=launching.simulator_ends_launch)),
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=namespace,
            parameters=[{"robot_description": ParameterValue(urdf, value_type=str), "use_sim_time": True}],
            on_exit=launching.must_not_end,
        ),
        IncludeLaunchDescription(
            PathJoinSubstitution([FindPackageShare("ros_gz_sim"), "launch", "gz_sim.launch.py"]),
            launch_arguments={
                "gz_args": f"{drawn} {launching.given(context, 'world')}",
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
    ]


def activation(create: Node, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return what configures the controllers once the robot is in Gazebo, and activates them once mpc_node commands."""
    spawner = Node(
        package="controller_manager",
        executable="spawner",
        namespace=launching.given(context, "namespace"),
        output="screen",
        arguments=[
            *CONTROLLERS,
            "--param-file",
            launching.given(context, "controllers_file"),
            "--controller-manager",
            "controller_manager",
            "--inactive",
        ],
        on_exit=launching.must_succeed,
    )
    active = launching.activation(context, *CONTROLLERS)
    return [
        RegisterEventHandler(OnProcessExit(target_action=create, on_exit=[spawner])),
        RegisterEventHandler(OnProcessExit(target_action=spawner, on_exit=[active])),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    config = [SHARE, "config"]
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([*config, "panda.yaml"]),
                description="YAML with the parameters of the robot",
            ),
            DeclareLaunchArgument(
                "controllers_file",
                default_value=PathJoinSubstitution([*config, "gazebo", "panda_controllers.yaml"]),
                description="YAML of the ros2_control controllers, for the joints, interface and rate of params_file",
            ),
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
                "headless",
                default_value="false",
                choices=["true", "false"],
                description="run without Gazebo's window; the camera is rendered all the same",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the nodes and their topics"),
            # the checks come first, and what commands the arm last
            OpaqueFunction(function=nodes),
            # autostart and the others are declared, with their defaults, in mpc.launch.py
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, "launch", "mpc.launch.py"]),
                launch_arguments={
                    "params_file": LaunchConfiguration("params_file"),
                    "use_sim_time": "true",
                    "commands": f"{FORWARD}/commands",
                }.items(),
            ),
        ]
    )
