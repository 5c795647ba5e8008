"""The mechanism that a URDF describes, as both physics engines get it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from ..robots import Robot, urdf


def bare_mechanism(text: str, robot: Robot) -> ElementTree.Element:
    """Return the URDF `text` with the robot's joints alone movable, and inertias only where one of them moves."""
    root, carriers = urdf.reduced(text, robot.joints), urdf.parse(text).carriers(robot.joints)
    for link in root.findall("link"):
        if not carriers[link.get("name", "")]:  # it stands still: its inertia does not matter, and may be a wrong one
            for inertial in link.findall("inertial"):
                link.remove(inertial)
    return root
