"""The mechanism that a URDF describes, as both physics engines get it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..robots import Robot, urdf
from ..robots.guessed_inertials import complete
from ..types import Array

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
    complete(root, replace(robot, urdf=text))
    return root


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
