"""ros2_control's real node with mock hardware beside mpc.launch.py: controllers, parameters, a launch file of both."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.launching import JOINTS, PERIOD, START
from support.robots import planar_arm

MISSING_PERIODS = 20.0  # periods without a command, after which the guard acts
FORWARD = "forward_velocity_controller"
PLUGIN = "forward_command_controller/ForwardCommandController"

LAUNCH_FILE = """
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch_ros.actions import Node

def generate_launch_description():
    manager = Node(package="controller_manager", executable="ros2_control_node", parameters=[{controllers!r}])
    arguments = ["joint_state_broadcaster", {forward!r}, "--param-file", {controllers!r}]
    spawner = Node(package="controller_manager", executable="spawner", arguments=arguments)
    arguments = {{"params_file": {node!r}, "commands": "{forward}/commands", **{arguments!r}}}
    ours = IncludeLaunchDescription({ours!r}, launch_arguments=arguments.items())
    return LaunchDescription([manager, spawner, ours])
"""


def controllers(parameters: dict, plugin: str = PLUGIN) -> dict:
    """The parameters of the controller manager and its controllers; `parameters` are those of FORWARD."""
    manager = {
        "update_rate": round(1.0 / PERIOD),
        "joint_state_broadcaster": {"type": "joint_state_broadcaster/JointStateBroadcaster"},
        FORWARD: {"type": plugin},
    }
    return {"controller_manager": manager, FORWARD: parameters}


def node(interface: str = "velocity", joints: int = 2, **more) -> dict:
    """The parameters of mpc_node."""
    robot = {"interface": interface, "joints": JOINTS[:joints]}
    return {"robot_description": planar_arm(joints), "robot": robot, "control": {"rate": 1.0 / PERIOD}, **more}


def mock_urdf(joints: int = 2) -> str:
    """The arm with ros2_control's mock hardware, which integrates the commanded velocities."""
    described = "".join(
        f'''<joint name="{name}"><command_interface name="velocity"/><command_interface name="position"/>
          <state_interface name="position"><param name="initial_value">{start}</param></state_interface>
          <state_interface name="velocity"/></joint>'''
        for name, start in zip(JOINTS[:joints], START, strict=False)
    )
    hardware = "<plugin>mock_components/GenericSystem</plugin><param name='calculate_dynamics'>true</param>"
    control = f"<ros2_control name='mock' type='system'><hardware>{hardware}</hardware>{described}</ros2_control>"
    return planar_arm(joints).replace("</robot>", f"{control}</robot>")


def write(path: Path, blocks: dict[str, dict]) -> str:
    """Write a parameter file {node: its parameters} and return its name."""
    path.write_text(yaml.safe_dump({name: {"ros__parameters": values} for name, values in blocks.items()}))
    return str(path)


def node_file(folder: Path, of_node: dict) -> str:
    """Write the parameter file of mpc_node and its guard, who waits for commands of a busy machine."""
    return write(folder / "node.yaml", {"mpc_node": of_node, "guard_node": {"missing_periods": MISSING_PERIODS}})


def launch_file(folder: Path, of_controllers: dict, of_node: dict, ours: Path, **arguments: str) -> Path:
    """Write a launch file that starts ros2_control's node, its controllers, and the launch file `ours`."""
    path = folder / "robot.launch.py"
    path.write_text(
        LAUNCH_FILE.format(
            controllers=write(folder / "controllers.yaml", of_controllers),
            node=node_file(folder, of_node),
            ours=str(ours),
            forward=FORWARD,
            arguments=arguments,
        )
    )
    return path


def switch(peer, controller: str, *, on: bool) -> None:
    """Activate or deactivate a controller."""
    from controller_manager_msgs.srv import SwitchController

    client = peer.node.create_client(SwitchController, "/controller_manager/switch_controller")
    peer.until(client.service_is_ready, "the switch")
    request = SwitchController.Request(strictness=SwitchController.Request.STRICT)
    (request.activate_controllers if on else request.deactivate_controllers).append(controller)
    future = client.call_async(request)
    peer.until(future.done, "the switch's answer")
    assert future.result().ok
