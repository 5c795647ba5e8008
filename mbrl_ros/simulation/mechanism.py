"""The mechanism that a URDF describes, as both physics engines get it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np

from ..config.section import per_joint
from ..config.sections.simulation import PlantSettings
from ..robots import Robot, urdf
from ..types import Array

USUAL_DAMPING = 0.1  # [N m s/rad or N s/m] of a joint whose URDF says nothing
USUAL_FRICTION = (1.0 / 60.0, 0.5)  # the same of dry friction: of the effort limit, and at most [N m or N]


def bare_mechanism(text: str, robot: Robot) -> ElementTree.Element:
    """Return the URDF `text` with the robot's joints alone movable, and inertias only where one of them moves."""
    root, carriers = urdf.reduced(text, robot.joints), urdf.parse(text).carriers(robot.joints)
    for link in root.findall("link"):
        if not carriers[link.get("name", "")]:  # it stands still: its inertia does not matter, and may be a wrong one
            for inertial in link.findall("inertial"):
                link.remove(inertial)
    return root


def losses(settings: PlantSettings, robot: Robot) -> tuple[Array, Array]:
    """Return viscous (n,) and dry friction (n,): as the settings say, else as the URDF does, else usual ones.

    The URDF's are those of efforts: a drive that follows velocities or positions overcomes them.
    """
    share, most = USUAL_FRICTION
    known = robot.interface == "effort"
    damping = np.where(known & (robot.damping > 0.0), robot.damping, USUAL_DAMPING)
    dry = np.where(known & (robot.friction > 0.0), robot.friction, np.minimum(most, share * robot.effort_limit))
    return (
        per_joint(settings.damping or tuple(damping), robot.n, "damping"),
        per_joint(settings.frictionloss or tuple(dry), robot.n, "frictionloss"),
    )
