"""Launch a robot in Gazebo with ros2_control, a camera, and its controller.

Needs ros_gz_sim, ros_gz_bridge, gz_ros2_control, controller_manager, joint_state_broadcaster,
forward_command_controller and robot_state_publisher.

ros2 launch mbrl_ros gazebo.launch.py headless:=true
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.substitutions import IfElseSubstitution, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.robots import load_robot
from mbrl_ros.simulation.gazebo import gazebo_urdf

SHARE = FindPackageShare("mbrl_ros")
CONTROLLERS = [
    "forward_command_controller",
    "joint_state_broadcaster",
]  # the states begin when commands are already executed
given = LaunchConfiguration


def robot(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the actions that depend on the robot of params_file."""
    params_file, namespace = (given(name).perform(context) for name in ("params_file", "namespace"))
    node = f"/{namespace.strip('/')}/mpc_node" if namespace.strip("/") else ""
    values = read_settings(params_file, node=node)
    settings = {key[len("robot.") :]: value for key, value in values.items() if key.startswith("robot.")}
    urdf = gazebo_urdf(
        load_robot(RobotSettings.from_mapping(settings, prefix="robot.", source=params_file)),
        given("controllers_file").perform(context),
        namespace=namespace,
        initial_position=read_settings(params_file, "sim_node", node).get("plant.initial_position", ()),
    )
    create = Node(
        package="ros_gz_sim",
        executable="create",
        namespace=namespace,
        output="screen",
        arguments=["-topic", "robot_description", "-name", f"{namespace.strip('/').replace('/', '_') or 'mbrl'}_robot"],
    )
    spawner = Node(
        package="controller_manager",
        executable="spawner",
        namespace=namespace,
        output="screen",
        arguments=[
            *CONTROLLERS,
            "--param-file",
            given("controllers_file"),
            "--controller-manager",
            "controller_manager",
            "--activate-as-group",
        ],
    )
    return [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=namespace,
            parameters=[{"robot_description": ParameterValue(urdf, value_type=str), "use_sim_time": True}],
        ),
        create,
        RegisterEventHandler(OnProcessExit(target_action=create, on_exit=[spawner])),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "controllers_file",
                default_value=PathJoinSubstitution([SHARE, "config", "gazebo", "panda_controllers.yaml"]),
                description="YAML of the ros2_control controllers",
            ),
            DeclareLaunchArgument(
                "world",
                default_value=PathJoinSubstitution([SHARE, "config", "gazebo", "world.sdf"]),
                description="SDF of the world",
            ),
            DeclareLaunchArgument(
                "bridge_file",
                default_value=PathJoinSubstitution([SHARE, "config", "gazebo", "bridge.yaml"]),
                description="YAML of the topics that are bridged from Gazebo",
            ),
            DeclareLaunchArgument(
                "headless", default_value="false", choices=["true", "false"], description="run without Gazebo's window"
            ),
            # params_file, namespace, autostart and the others are declared, with their defaults, in mpc.launch.py
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, "launch", "mpc.launch.py"]),
                launch_arguments={
                    "use_sim_time": "true",
                    "commands": f"{CONTROLLERS[0]}/commands",
                    "guard": "false",
                }.items(),
            ),
            IncludeLaunchDescription(
                PathJoinSubstitution([FindPackageShare("ros_gz_sim"), "launch", "gz_sim.launch.py"]),
                launch_arguments={
                    "gz_args": ["-r ", IfElseSubstitution(given("headless"), "-s ", ""), given("world")],
                    "on_exit_shutdown": "true",
                }.items(),
            ),
            Node(
                package="ros_gz_bridge",
                executable="parameter_bridge",
                namespace=given("namespace"),
                output="screen",
                parameters=[{"config_file": given("bridge_file"), "use_sim_time": True}],
            ),
            OpaqueFunction(function=robot),
        ]
    )
