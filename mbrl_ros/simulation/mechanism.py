"""The mechanism that a URDF describes, as both physics engines get it."""

from __future__ import annotations

import logging
import xml.etree.ElementTree as ElementTree

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..robots import Robot, urdf
from ..types import Array

logger = logging.getLogger(__name__)

# Of an arm whose URDF has no masses. Those of the arms in test/data/init are 2 to 20 kg/m^3, half of them less than
# 7.5, times the cubed length of their chains.
GUESSED_DENSITY, GUESSED_RADIUS, SHORTEST_ARM = 7.5, 0.07, 0.1  # [kg/m^3]; of the length; [m]
USUAL_DAMPING = 0.1  # [N m s/rad or N s/m] of a joint whose URDF says nothing
SERVO_FRICTION = 0.2  # [N m s/rad or N s/m] dry friction behind a drive over its speed limit, at most
USUAL_FRICTION = (1.0 / 60.0, 0.5)  # the same of dry friction: of the effort limit, and at most [N m or N]


def bare_mechanism(text: str, robot: Robot) -> ElementTree.Element:
    """Return the URDF `text` with the robot's joints and their followers alone movable, inertias only where these move.

    What a joint moves without any <inertial> gets a guessed one, and a warning names the joint.
    """
    tree, moving = urdf.parse(text), robot.moving
    root, carriers = urdf.reduced(text, moving), tree.carriers(moving)
    for link in root.findall("link"):
        if not carriers[link.get("name", "")]:  # it stands still: its inertia does not matter, and may be a wrong one
            for inertial in link.findall("inertial"):
                link.remove(inertial)
    known = {carriers[link] for link in urdf.inertials(text, [link for link, joint in carriers.items() if joint])}
    light = [joint for joint in tree.joints if joint.name in moving and joint.name not in known]
    if light:
        _guess_masses(root, tree, light, robot)
    return root


def guessed_mass(robot: Robot) -> float:
    """Return a likely mass [kg] of what the joints of an arm of this size move."""
    return GUESSED_DENSITY * _length(robot) ** 3


def _length(robot: Robot) -> float:
    """Return the length of the chain from the first controlled joint to the tip [m]."""
    chain = urdf.parse(robot.urdf).chain(robot.tip)
    first = next(i for i, joint in enumerate(chain) if joint.name in robot.joints)
    return max(SHORTEST_ARM, sum(float(np.linalg.norm(joint.origin[:3, 3])) for joint in chain[first:]))


def _guess_masses(root: ElementTree.Element, tree: urdf.Tree, light: list[urdf.Joint], robot: Robot) -> None:
    """Give the child of every joint in `light` its share of a likely mass: a ball, half way to the next joint."""
    mass = guessed_mass(robot) / robot.n
    moment = 0.4 * mass * (GUESSED_RADIUS * _length(robot)) ** 2
    logger.warning(
        "the URDF has no mass for what joints %s move: each gets a guessed one of %.3g kg",
        [joint.name for joint in light],
        mass,
    )
    links = {link.get("name"): link for link in root.findall("link")}
    for joint in light:
        onward = next((below.origin[:3, 3] for below in tree.joints if below.parent == joint.child), np.zeros(3))
        link = links[joint.child]
        for old in link.findall("inertial"):
            link.remove(old)
        inertial = ElementTree.SubElement(link, "inertial")
        ElementTree.SubElement(inertial, "origin", xyz=" ".join(f"{0.5 * x:.6g}" for x in onward), rpy="0 0 0")
        ElementTree.SubElement(inertial, "mass", value=f"{mass:.6g}")
        moments = {key: f"{moment:.6g}" for key in ("ixx", "iyy", "izz")}
        ElementTree.SubElement(inertial, "inertia", {**moments, "ixy": "0", "ixz": "0", "iyz": "0"})


def losses(settings: PlantSettings, robot: Robot) -> tuple[Array, Array]:
    """Return viscous (n,) and dry friction (n,): as the settings say, else as the URDF does, else usual ones.

    The URDF's are those of efforts: a drive that follows velocities or positions overcomes them, and what is usual down
    to SERVO_FRICTION times the speed limit. Drives of the plant have no integral part: dry friction F takes about
    F T / A off a velocity (T 5 ms, A rotor inertia), which a slow arm would not move with.
    """
    share, most = USUAL_FRICTION
    known = robot.interface == "effort"
    damping = np.where(known & (robot.damping > 0.0), robot.damping, USUAL_DAMPING)
    usual = np.minimum(most, share * robot.effort_limit)
    if not known:
        usual = np.minimum(usual, SERVO_FRICTION * robot.velocity_limit)
    dry = np.where(known & (robot.friction > 0.0), robot.friction, usual)
    return (
        per_joint(settings.damping or tuple(damping), robot.n, "damping"),
        per_joint(settings.frictionloss or tuple(dry), robot.n, "frictionloss"),
    )
