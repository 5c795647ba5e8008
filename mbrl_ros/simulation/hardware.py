"""A robot's URDF with the <ros2_control> block of a simulated robot as hardware.

The block gives the commanded interface of every joint, with its limits, and its position, velocity and effort as state.
Which plug-in moves the robot differs:

joint_state_topic_hardware_interface/JointStateTopicSystem   commands and states are JointState on two topics: sim_node
mujoco_ros2_control/MujocoSystemInterface                    MuJoCo in the process of the controller manager

Source of plug-ins and parameters: ros-controls/topic_based_hardware_interfaces, ros-controls/mujoco_ros2_control.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence

from ..exceptions import ConfigurationError
from ..robots import Robot
from ..robots.document import parsed

STATES = ("position", "velocity", "effort")
TOPIC_SYSTEM, MUJOCO_SYSTEM = (
    "joint_state_topic_hardware_interface/JointStateTopicSystem",
    "mujoco_ros2_control/MujocoSystemInterface",
)


def start_of(robot: Robot, initial_position: Sequence[float]) -> tuple[float, ...]:
    """Return where the robot starts (n,) [rad or m]: `initial_position`, or zero where that is empty.

    Raises
    ------
    ConfigurationError
        It has the wrong length, or a joint would start at its stops or beyond: from there an arm may not come back.
    """
    start, key = tuple(initial_position) or (0.0,) * robot.n, "plant.initial_position"
    if len(start) != robot.n:
        why = f"'{key}' must have {robot.n} entries (one per joint), got {len(start)}"
        raise ConfigurationError(why, key=key, value=initial_position)
    for name, q, low, high in zip(robot.joints, start, robot.position_lower, robot.position_upper, strict=True):
        if not low <= q <= high:
            raise ConfigurationError(
                f"'{key}' of {name} is {q:g}, at its stops or beyond: it must lie in [{low:.3f}, {high:.3f}] rad or m",
                key=key,
                value=list(start),
            )
    return start


def add_control(
    root: ElementTree.Element,
    robot: Robot,
    start: Sequence[float],
    *,
    name: str,
    plugin: str,
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Add the block `name` of `plugin` to the URDF `root`; `start` (n,) [rad or m] are the first positions."""
    control = ElementTree.SubElement(root, "ros2_control", name=name, type="system")
    hardware = ElementTree.SubElement(control, "hardware")
    ElementTree.SubElement(hardware, "plugin").text = plugin
    for key, value in (parameters or {}).items():
        ElementTree.SubElement(hardware, "param", name=key).text = value
    rows = zip(robot.joints, start, robot.command_lower, robot.command_upper, strict=True)
    for joint_name, position, low, high in rows:
        joint = ElementTree.SubElement(control, "joint", name=joint_name)
        command = ElementTree.SubElement(joint, "command_interface", name=robot.interface)
        for bound, value in (("min", low), ("max", high)):
            ElementTree.SubElement(command, "param", name=bound).text = repr(float(value))
        for state in STATES:
            interface = ElementTree.SubElement(joint, "state_interface", name=state)
            if state == "position":
                ElementTree.SubElement(interface, "param", name="initial_value").text = repr(float(position))


def topic_urdf(robot: Robot, commands: str, states: str, initial_position: Sequence[float] = ()) -> str:
    """Return the URDF for hardware that is commanded on the topic `commands` and tells its state on `states`.

    Every command is published, also one that is near the state of its kind: for efforts that says nothing.
    """
    parameters = {
        "joint_commands_topic": commands,
        "joint_states_topic": states,
        "trigger_joint_command_threshold": "-1",
    }
    return _described(robot, initial_position, "JointStateTopicSystem", TOPIC_SYSTEM, parameters)


def mujoco_urdf(robot: Robot, model: str, initial_position: Sequence[float] = (), *, headless: bool = False) -> str:
    """Return the URDF for mujoco_ros2_control with the MJCF file `model`; `headless`: without its window."""
    parameters = {"mujoco_model": model, "headless": str(headless).lower()}
    return _described(robot, initial_position, "MujocoSystem", MUJOCO_SYSTEM, parameters)


def _described(
    robot: Robot, initial_position: Sequence[float], name: str, plugin: str, parameters: Mapping[str, str]
) -> str:
    root, start = parsed(robot.urdf), start_of(robot, initial_position)
    for other in root.findall("ros2_control"):  # of the real robot, which this one stands for
        root.remove(other)
    add_control(root, robot, start, name=name, plugin=plugin, parameters=parameters)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
