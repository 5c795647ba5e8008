"""Launch RViz with the robot, the planned path of its end effector and its target, for a controller that runs.

ros2 launch mbrl_ros rviz.launch.py
"""

from xml.etree import ElementTree

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from mbrl_ros.config.sections.robot import RobotSettings
from mbrl_ros.config.settings_file import read_settings
from mbrl_ros.robots import load_robot
from mbrl_ros.robots.meshes import shaped

SHARE = FindPackageShare("mbrl_ros")
given = LaunchConfiguration


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the nodes that depend on the robot of params_file."""
    source = given("params_file").perform(context)
    namespace = given("namespace").perform(context).strip("/")
    values = read_settings(source, node=f"/{namespace}/mpc_node" if namespace else "")
    settings = {key[len("robot.") :]: value for key, value in values.items() if key.startswith("robot.")}
    robot = load_robot(RobotSettings.from_mapping(settings, prefix="robot.", source=source))
    urdf = ElementTree.tostring(shaped(robot.urdf, robot.joints), encoding="unicode")
    time = {"use_sim_time": ParameterValue(given("use_sim_time"), value_type=bool)}
    return [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=given("namespace"),
            parameters=[{"robot_description": ParameterValue(urdf, value_type=str)}, time],
            condition=IfCondition(given("state_publisher")),
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=given("namespace"),
            parameters=[time],
            arguments=["-d", PathJoinSubstitution([SHARE, "config", "mpc.rviz"]), "-f", robot.root],
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the actions of this launch file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "panda.yaml"]),
                description="YAML with the controller's parameters; its robot is drawn",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="the controller's namespace"),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="false",
                choices=["true", "false"],
                description="take the time from the topic /clock",
            ),
            DeclareLaunchArgument(
                "state_publisher",
                default_value="true",
                choices=["true", "false"],
                description="start a robot_state_publisher; false where the robot has its own",
            ),
            OpaqueFunction(function=nodes),
        ]
    )
