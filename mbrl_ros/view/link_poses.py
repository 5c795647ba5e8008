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
            poses[joint.child] = placed @ motion(joint, position) if position and math.isfinite(position) else placed
        return poses


def motion(joint: urdf.Joint, q: float) -> Array:
    """Return M (4, 4) of a joint at q [rad or m]: Rodrigues' formula, or the translation q axis."""
    T = np.eye(4)
    if joint.kind in ("revolute", "continuous"):
        x, y, z = joint.axis
        K = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
        T[:3, :3] += math.sin(q) * K + (1.0 - math.cos(q)) * (K @ K)
    elif joint.kind == "prismatic":
        T[:3, 3] = q * joint.axis
    return T
