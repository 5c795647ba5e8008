"""Markers that draw a robot in another posture than its present one: where a plan ends."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from ..robots.meshes import DRAWABLE
from ..robots.rotation import quaternion_of
from ..view.link_poses import LinkPoses
from ..view.shapes import UNCOLORED, Shape, Shapes

OPACITY = 0.35
LIFETIME = Duration(sec=1)  # after the last plan
MARKER_TYPES = {"mesh": Marker.MESH_RESOURCE, "box": Marker.CUBE, "sphere": Marker.SPHERE, "cylinder": Marker.CYLINDER}


class Ghost:
    """Draws `shapes` in a posture, in the frame `frame` of the root link; links that no joint moves are left out."""

    def __init__(self, shapes: Shapes, frame: str):
        self._poses = LinkPoses(shapes.tree)
        moved = _moved_links(shapes)
        self._drawn = [shape for shape in shapes.shapes if shape.link in moved and _drawable(shape)]
        self._markers = [_marker(number, shape, frame) for number, shape in enumerate(self._drawn)]

    def at(self, positions: Mapping[str, float]) -> MarkerArray:
        """Return the markers for joint `positions` {joint: [rad or m]}; other joints stand at zero."""
        poses = self._poses.at(positions)
        for marker, shape in zip(self._markers, self._drawn, strict=True):
            T = poses[shape.link] @ shape.pose
            at, turn = marker.pose.position, marker.pose.orientation
            at.x, at.y, at.z = T[:3, 3].tolist()
            turn.x, turn.y, turn.z, turn.w = quaternion_of(T[:3, :3]).tolist()
        return MarkerArray(markers=self._markers)


def _moved_links(shapes: Shapes) -> set[str]:
    """Return the links behind a movable joint."""
    moved: set[str] = set()
    for joint in shapes.tree.descending():
        if joint.movable or joint.parent in moved:
            moved.add(joint.child)
    return moved


def _drawable(shape: Shape) -> bool:
    return shape.file is None or shape.file.suffix.lower() in DRAWABLE


def _marker(number: int, shape: Shape, frame: str) -> Marker:
    marker = Marker(ns="ghost", id=number, type=MARKER_TYPES[shape.kind], action=Marker.ADD, lifetime=LIFETIME)
    marker.header.frame_id = frame
    if shape.file is not None:
        marker.mesh_resource = f"file://{shape.file.resolve()}"
    diameter = 2.0 * shape.size[0]
    scale = {"sphere": (diameter, diameter, diameter), "cylinder": (diameter, diameter, shape.size[-1])}
    marker.scale.x, marker.scale.y, marker.scale.z = np.asarray(scale.get(shape.kind, shape.size), dtype=float).tolist()
    red, green, blue = shape.color or UNCOLORED
    marker.color = ColorRGBA(r=float(red), g=float(green), b=float(blue), a=OPACITY)
    return marker
