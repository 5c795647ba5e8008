"""Which joints of a robot are those of one arm, and where its flange is: a guess from the shape of the URDF.

Seen from the root, an arm is the longest series of movable joints. Where the tree branches into several parts that
move, the parts are fingers if none has more joints in series than there were before, else arms of which the first of
the longest is taken. A joint that others mimic drives a gripper and ends the arm.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .urdf import Joint, Tree

# Links that robots' makers call the flange, best first.
_FLANGES = (r"flange$", r"tool0$", r"(link_?)?(ee|eef)(_?link)?$", r"end_effector$")


class Arm(NamedTuple):
    """The movable `joints` of one arm from the base on, its flange, and the movable joints that are not part of it."""

    joints: tuple[str, ...]
    flange: str
    left_out: tuple[str, ...]


def arm_of(tree: Tree) -> Arm:
    """Guess one arm of a robot; a robot without a movable joint has none."""
    below: dict[str, list[Joint]] = {link: [] for link in tree.links}
    for joint in tree.joints:
        below[joint.parent].append(joint)
    masters = {joint.mimic for joint in tree.joints if joint.mimic}

    def height(link: str) -> int:
        """Return the largest number of moving joints in series below a link."""
        return max(((joint.kind != "fixed") + height(joint.child) for joint in below[link]), default=0)

    joints: list[Joint] = []
    link = last = tree.root
    while True:
        moving = [joint for joint in _next(link, below) if joint.kind != "fixed"]
        if not moving or any(joint.name in masters or joint.mimic for joint in moving):
            break
        heights = [1 + height(joint.child) for joint in moving]
        if len(moving) > 1:
            if len(joints) >= max(heights):
                break  # fingers
            joints = []  # what moves all arms together is part of none
        chosen = moving[heights.index(max(heights))]
        joints.append(chosen)
        link = last = chosen.child
    names = tuple(joint.name for joint in joints)
    others = tuple(joint.name for joint in tree.joints if joint.movable and joint.name not in names)
    return Arm(names, _flange(last, below), others)


def _next(link: str, below: dict[str, list[Joint]]) -> list[Joint]:
    """Return the first moving joint of every branch below a link, and the fixed joints before them."""
    found = []
    for joint in below[link]:
        found += [joint] if joint.kind != "fixed" else [joint, *_next(joint.child, below)]
    return found


def _flange(link: str, below: dict[str, list[Joint]]) -> str:
    """Return the flange among the links that are fixed to the last one: by its name, else the only one fixed to it."""
    fixed = [joint.child for joint in _next(link, below) if joint.kind == "fixed"]
    for pattern in _FLANGES:
        for name in [*fixed, link]:
            if re.search(pattern, name, re.IGNORECASE):
                return name
    own = [joint.child for joint in below[link] if joint.kind == "fixed"]
    return own[0] if len(own) == 1 and len(below[link]) == 1 else link
