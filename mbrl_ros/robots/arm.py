"""Which joints of a robot are those of one arm, and where its flange is: a guess from the shape of the URDF.

Seen from the root, an arm is the longest series of movable joints. Where the tree branches into several parts that
move, the parts are fingers if none has more joints in series than there were before, else arms and heads, of which the
first of the longest is taken, or the one that leads to a given tip. What moves them all together, such as a torso, is
part of none, unless its name and that of the arm's next joint differ in their numbers alone. A joint that others mimic,
or that is named after a gripper, ends the arm.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..exceptions import RobotDescriptionError, nearest
from .urdf import Joint, Tree

# Links that robots' makers call the flange, best first.
_FLANGES = (r"flange$", r"tool0$", r"(link_?)?(ee|eef)(_?link)?$", r"end_effector$")
_GRIPPER = re.compile(r"gripper|finger|thumb|jaw|claw", re.IGNORECASE)


class Arm(NamedTuple):
    """The movable `joints` of one arm from the base on, its flange, and the movable joints that are not part of it.

    others: the flanges of the other arms with at least as many joints.
    """

    joints: tuple[str, ...]
    flange: str
    left_out: tuple[str, ...]
    others: tuple[str, ...] = ()


def arm_of(tree: Tree, tip: str = "") -> Arm:
    """Guess one arm of a robot; a robot without a movable joint has none.

    Parameters
    ----------
    tree
        of the robot.
    tip
        a link that the arm ends at, which is its flange then; empty: that is guessed, too.

    Raises
    ------
    RobotDescriptionError
        There is no link `tip`.
    """
    if tip and tip not in tree.links:
        raise RobotDescriptionError(f"the URDF has no link '{tip}'; did you mean '{nearest(tip, tree.links)}'?")
    shape = _Shape(tree, tip)
    joints, alike = shape.series(tree.root, [])
    last = joints[-1].child if joints else tree.root
    names = tuple(joint.name for joint in joints if joint.movable)
    left_out = tuple(joint.name for joint in tree.joints if joint.movable and joint.name not in names)
    guessed = _Shape(tree, "")
    others = tuple(guessed.flange(guessed.series(joint.child, [joint])[0][-1].child) for joint in alike)
    return Arm(names, tip or guessed.flange(last), left_out, others)


class _Shape:
    """A tree seen from the root on, and the chain to the tip, if one is given."""

    def __init__(self, tree: Tree, tip: str):
        self._below: dict[str, list[Joint]] = {link: [] for link in tree.links}
        for joint in tree.joints:
            self._below[joint.parent].append(joint)
        self._masters = {joint.mimic for joint in tree.joints if joint.mimic}
        self._tip, self._onto_tip = tip, {joint.name for joint in tree.chain(tip)} if tip else set()

    def series(self, link: str, joints: list[Joint]) -> tuple[list[Joint], list[Joint]]:
        """Return the joints of the arm from `link` on, which `joints` carry, and the first ones of arms as long."""
        alike: list[Joint] = []
        while True:
            moving = [joint for joint in self._next(link) if joint.kind != "fixed"]
            ahead = [joint for joint in moving if joint.name in self._onto_tip]
            heights = [1 + self._height(joint.child) for joint in moving]
            if not moving or (self._tip and not ahead):
                break
            if not ahead and (any(map(self._grips, moving)) or (len(moving) > 1 and len(joints) >= max(heights))):
                break  # a gripper, or fingers
            chosen = ahead[0] if ahead else moving[heights.index(max(heights))]
            if len(moving) > 1:
                if not (joints and _stem(joints[-1].name) == _stem(chosen.name)):
                    joints = []  # what moves all arms together is part of none
                needed = heights[moving.index(chosen)]
                alike += [j for j, height in zip(moving, heights, strict=True) if j is not chosen and height >= needed]
            joints = [*joints, chosen]
            link = chosen.child
        return joints, alike

    def flange(self, link: str) -> str:
        """Return the flange among the links that are fixed to `link`: by its name, else the only one fixed to it."""
        fixed = [joint.child for joint in self._next(link) if joint.kind == "fixed"]
        for pattern in _FLANGES:
            for name in [*fixed, link]:
                if re.search(pattern, name, re.IGNORECASE):
                    return name
        own = [joint.child for joint in self._below[link] if joint.kind == "fixed"]
        return own[0] if len(own) == 1 and len(self._below[link]) == 1 else link

    def _next(self, link: str) -> list[Joint]:
        """Return the first moving joint of every branch below a link, and the fixed joints before them."""
        found = []
        for joint in self._below[link]:
            found += [joint] if joint.kind != "fixed" else [joint, *self._next(joint.child)]
        return found

    def _height(self, link: str) -> int:
        """Return the largest number of moving joints in series below a link."""
        return max(((joint.kind != "fixed") + self._height(joint.child) for joint in self._below[link]), default=0)

    def _grips(self, joint: Joint) -> bool:
        """Return whether a joint is part of a gripper: it mimics another, is mimicked, or is named after one."""
        return joint.name in self._masters or bool(joint.mimic) or _GRIPPER.search(joint.name) is not None


def _stem(name: str) -> str:
    """Return a name without its numbers."""
    return re.sub(r"[0-9]+", "#", name)
