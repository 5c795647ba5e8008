"""Masses and inertias of links that a URDF leaves out, guessed from the size of the arm.

An arm whose chain from the first controlled joint to the tip is L long moves about GUESSED_DENSITY L^3. Every joint
that moves no mass gets the n-th part of that, a ball with the radius GUESSED_RADIUS L half way to the next joint.

`GuessedInertia` is the joint-space inertia G(q) of that. Compared with the URDFs of the twelve arms of
`mbrl bench robots` whose URDF is installed, its diagonal is 0.4 to 5 times theirs in the first three joints and 0.04 to
600 times in the last ones, where rotors usually outweigh the links. As the prior of efforts a taper towards the tip,
from 1/3 to 1/100 of the guess, was worse: arms with rotors sagged up to eighty times as far, and some were lost.
"""

from __future__ import annotations

import functools
import logging
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np

from ..types import Array
from . import urdf
from .inertia import POSE_RANGE, POSES, SEED, JointSpaceInertia
from .robot import Robot

logger = logging.getLogger(__name__)

# Those of the arms in test/data/init are 2 to 20 kg/m^3, half of them less than 7.5, times the cubed length.
GUESSED_DENSITY, GUESSED_RADIUS, SHORTEST_ARM = 7.5, 0.07, 0.1  # [kg/m^3]; of the length; [m]


def guessed_mass(robot: Robot) -> float:
    """Return a likely mass [kg] of what the joints of an arm of this size move."""
    return GUESSED_DENSITY * _length(robot) ** 3


def complete(root: ElementTree.Element, robot: Robot) -> None:
    """Give what moves without any <inertial> a guessed one, in place, and warn which joints move it.

    Parameters
    ----------
    root
        the `urdf.reduced` description of `robot`.
    robot
        whose `urdf` tells which links have one.
    """
    tree, moving = urdf.parse(robot.urdf), robot.moving
    carriers = tree.carriers(moving)
    known = {carriers[link] for link in urdf.inertials(robot.urdf, [link for link, joint in carriers.items() if joint])}
    light = [joint for joint in tree.joints if joint.name in moving and joint.name not in known]
    if light:
        _guess_masses(root, tree, light, robot)


class GuessedInertia(JointSpaceInertia):
    """G(q) of a robot whose URDF lacks inertials; `largest` (n,) is the largest diagonal of it, over seeded poses.

    Raises RobotDescriptionError where the inertials that the URDF does have are wrong.
    """

    def __init__(self, robot: Robot):
        super().__init__(_completed(robot))
        rng = np.random.default_rng(SEED)
        low, high = (np.clip(limit, -POSE_RANGE, POSE_RANGE) for limit in (robot.position_lower, robot.position_upper))
        poses = rng.uniform(low, high, (POSES, robot.n))
        self.largest: Array = np.max([self(q).diagonal() for q in poses], axis=0)


@functools.lru_cache(maxsize=4)
def _completed(robot: Robot) -> Robot:
    """Return `robot` with the guess in its description; kept, so that prior and safe effort warn once together."""
    root = urdf.reduced(robot.urdf, robot.moving)
    complete(root, robot)
    return replace(robot, urdf=ElementTree.tostring(root, encoding="unicode"))


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
