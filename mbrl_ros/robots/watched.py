"""Joints that move neither the tip nor with a command, and are measured all the same: those of another arm.

Distances depend on them (collision/); kinematics of the end effector, inertia and gravity do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..exceptions import ConfigurationError, JointNameError
from .urdf import Tree


class Watched(NamedTuple):
    """A joint with its range [rad or m], half a turn either way where it has no stops, and its speed limit."""

    name: str
    lower: float
    upper: float
    velocity: float


def watched_of(tree: Tree, wanted: Sequence[str], controlled: Sequence[str], known: Sequence[str]) -> list[Watched]:
    """Return the `wanted` joints of `tree` but for those that are `known` to move the tip.

    Parameters
    ----------
    tree
        of the URDF.
    wanted
        names, of `robot.measured_joints`.
    controlled
        names of the joints that are controlled.
    known
        names of the others that move the tip, which are measured anyway.

    Raises
    ------
    JointNameError
        The URDF has no movable joint of that name.
    ConfigurationError
        A joint is named twice, or is controlled.
    """
    movable, key = {joint.name: joint for joint in tree.joints if joint.movable}, "robot.measured_joints"
    if any(name not in movable for name in wanted):
        raise JointNameError(wanted, list(movable), what="robot.measured_joints and the URDF's movable joints")
    for name in wanted:
        if name in controlled or wanted.count(name) > 1:
            why = "is controlled" if name in controlled else "is named twice"
            raise ConfigurationError(f"'{key}': joint '{name}' {why}", key=key, value=tuple(wanted))
    found = []
    for joint in (movable[name] for name in wanted if name not in known):
        limits = joint.limit.get("lower", math.nan), joint.limit.get("upper", math.nan)
        bounded = joint.kind != "continuous" and all(map(math.isfinite, limits)) and limits[0] < limits[1]
        lower, upper = limits if bounded else (-math.pi, math.pi)
        speed = joint.limit.get("velocity", math.nan)
        found.append(Watched(joint.name, lower, upper, speed if speed > 0.0 else math.inf))
    return found
