"""Where every link of a robot is, for drawing it.

root_T_child(q) = root_T_parent(q) T(xyz, rpy) M(axis, q), M a rotation by q (revolute, continuous) or a translation
along q (prismatic); http://wiki.ros.org/urdf/XML/joint. A mimic joint that is not measured is where the joint that it
follows puts it; others stand at zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..robots import urdf
from ..robots.frames import motion
from ..types import Array


class LinkPoses:
    """The poses of all links of a tree in the frame of its root link."""

    def __init__(self, tree: urdf.Tree):
        self._root, self._joints = tree.root, tree.descending()

    def at(self, positions: Mapping[str, float]) -> dict[str, Array]:
        """Return {link: root_T_link (4, 4)} [m] for joint `positions` {joint: [rad or m]}; others are ignored."""
        poses = {self._root: np.eye(4)}
        for joint in self._joints:
            position = positions.get(joint.name)
            if position is None:
                position = joint.multiplier * positions.get(joint.mimic, 0.0) + joint.offset if joint.mimic else 0.0
            placed = poses[joint.parent] @ joint.origin
            moves = joint.kind in urdf.MOVABLE and position and math.isfinite(position)
            poses[joint.child] = placed @ motion(joint, position) if moves else placed
        return poses
