"""A robot's URDF as Gazebo and gz_ros2_control want it.

To the mechanism (the robot's joints movable, every other joint fixed) and its shapes are added: a joint that holds the
root in the world, an inertia for a root that has none, and the <ros2_control> block that gives the commanded interface
of every joint, and its position, velocity and effort as state, to the controllers of a file.

Joints whose controller is not active yet are held where they are (hold_joints, gz_ros2_control's default).

Gazebo's converter (sdformat's parser_urdf) leaves out a link without mass, and every link below it. A root without
<inertial>, as many robots have, would leave a model without links. It is held in the world, so that its inertia has no
effect.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from ..config.parameter_file import ParameterFile
from ..exceptions import ConfigurationError, RobotDescriptionError
from ..robots import Robot, urdf
from ..robots.meshes import shaped
from .hardware import add_control, start_of

WORLD = "world"
SYSTEM = "gz_ros2_control/GazeboSimSystem"
PLUGIN = {"filename": "gz_ros2_control-system", "name": "gz_ros2_control::GazeboSimROS2ControlPlugin"}


def gazebo_urdf(
    robot: Robot,
    controllers: str | Path,
    *,
    initial_position: Sequence[float] = (),
    namespace: str = "",
    folder: Path | None = None,
    marker: float = 0.0,
) -> str:
    """Write the URDF of `robot` for Gazebo.

    Parameters
    ----------
    controllers : the ros2_control YAML file
    initial_position : (n,) [rad or m] in the order of `robot.joints`; empty: zero
    namespace : of the controller manager
    folder : the one that relative mesh names refer to
    marker : radius of a red ball around the end effector, which is only seen [m]; 0: none

    Raises
    ------
    ConfigurationError : `initial_position` has the wrong length, or a joint would start at its stops
    RobotDescriptionError : the tip moves with a joint that follows another
    """
    on_way = {joint.name for joint in urdf.parse(robot.urdf).chain(robot.tip)}
    if following := [follower.name for follower in robot.followers if follower.name in on_way]:
        raise RobotDescriptionError(
            f"the tip moves with {following}, which follow other joints (mimic) and would stand still in Gazebo. "
            "Simulate the robot with sim_node"
        )
    start = start_of(robot, initial_position)
    root = shaped(robot.urdf, robot.joints, folder)
    if marker > 0.0:
        _add_ball(root, robot, marker)
    if robot.root != WORLD:
        ElementTree.SubElement(root, "link", name=WORLD)
        joint = ElementTree.SubElement(root, "joint", name=f"{WORLD}_to_{robot.root}", type="fixed")
        ElementTree.SubElement(joint, "parent", link=WORLD)
        ElementTree.SubElement(joint, "child", link=robot.root)
    _add_inertia_of_what_the_world_holds(root)
    add_control(root, robot, start, name="GazeboSimSystem", plugin=SYSTEM)
    plugin = ElementTree.SubElement(ElementTree.SubElement(root, "gazebo"), "plugin", PLUGIN)
    ElementTree.SubElement(plugin, "parameters").text = str(controllers)
    ElementTree.SubElement(plugin, "hold_joints").text = "true"
    if namespace:
        ElementTree.SubElement(ElementTree.SubElement(plugin, "ros"), "namespace").text = namespace
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def _add_ball(root: ElementTree.Element, robot: Robot, radius: float) -> None:
    """Add a red ball (radius [m]) around the end effector to what is seen of the tip link, and to nothing else."""
    (link,) = (link for link in root.findall("link") if link.get("name") == robot.tip)
    visual = ElementTree.SubElement(link, "visual", name="mbrl_marker")
    ElementTree.SubElement(visual, "origin", xyz=" ".join(map(repr, map(float, robot.tip_offset))), rpy="0 0 0")
    ElementTree.SubElement(ElementTree.SubElement(visual, "geometry"), "sphere", radius=repr(radius))
    material = ElementTree.SubElement(visual, "material", name="mbrl_marker")
    ElementTree.SubElement(material, "color", rgba="1 0 0 1")


def _add_inertia_of_what_the_world_holds(root: ElementTree.Element) -> None:
    """Give every link that a fixed joint holds in the world a mass and an inertia, where it has none."""
    held = set()
    for joint in root.iterfind("joint[@type='fixed']"):
        parent, child = joint.find("parent"), joint.find("child")
        if parent is not None and child is not None and parent.get("link") == WORLD:
            held.add(child.get("link"))
    for link in root.iterfind("link"):
        mass = link.find("inertial/mass")
        if link.get("name") in held and (mass is None or float(mass.get("value", "0")) == 0.0):
            for useless in link.findall("inertial"):
                link.remove(useless)
            inertial = ElementTree.SubElement(link, "inertial")
            ElementTree.SubElement(inertial, "mass", value="1.0")
            moments = {
                f"i{axes}": "0.01" if axes[0] == axes[1] else "0.0" for axes in ("xx", "xy", "xz", "yy", "yz", "zz")
            }
            ElementTree.SubElement(inertial, "inertia", moments)


def check_controllers(file: str | Path, robot: Robot, rate: float, *, forward: str, namespace: str = "") -> None:
    """Compare a ros2_control parameter file with the robot that is commanded through it.

    Parameters
    ----------
    file : YAML of the controllers
    robot : the robot whose joints are commanded
    rate : of the controller, `control.rate` [Hz]
    forward : name of the forward_command_controller
    namespace : of the controller manager

    Raises
    ------
    ConfigurationError : the file cannot be read, or joints, interface or rate are not those of the robot
    """
    source, above = str(file), f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    blocks = ParameterFile.read(file)
    manager, controller = (blocks.entries(f"{above}/{name}") for name in ("controller_manager", forward))
    expected = (
        (manager, "controller_manager", "update_rate", round(rate), "control.rate"),
        (controller, forward, "interface_name", robot.interface, "robot.interface"),
        (controller, forward, "joints", list(robot.joints), "robot.joints"),
    )
    for entries, name, key, wanted, setting in expected:
        if key not in entries:
            raise ConfigurationError(f"holds no '{key}' of {above}/{name}; {setting} is {wanted}", source=source)
        if (found := entries[key].value) != wanted:
            raise ConfigurationError(
                f"'{key}' of {above}/{name} is {found}, but {setting} of the robot is {wanted}",
                key=key,
                value=found,
                source=f"{source}:{entries[key].line}",
            )
