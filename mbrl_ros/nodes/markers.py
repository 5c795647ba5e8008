"""Draw a plan for RViz: the planned path of the end effector and its target."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from ..types import Array

PATH = ColorRGBA(r=0.1, g=0.5, b=0.9, a=1.0)
TARGET = ColorRGBA(r=0.9, g=0.4, b=0.1, a=0.7)


def to_markers(path: Array, target: Array | None, frame: str, stamp: Time) -> MarkerArray:
    """Draw the path (T, 3) [m] of the end effector along the plan and its target (3,) [m], or None, both in `frame`."""
    line = Marker(
        ns="plan", id=0, type=Marker.LINE_STRIP, action=Marker.ADD, color=PATH, points=[_point(p) for p in path]
    )
    line.scale.x = 0.005
    sphere = Marker(
        ns="target", id=1, type=Marker.SPHERE, action=Marker.ADD if target is not None else Marker.DELETE, color=TARGET
    )
    sphere.scale.x = sphere.scale.y = sphere.scale.z = 0.03
    if target is not None:
        sphere.pose.position = _point(target)
    for marker in (line, sphere):
        marker.header.frame_id, marker.header.stamp = frame, stamp
    return MarkerArray(markers=[line, sphere])


def _point(p: Array) -> Point:
    return Point(x=float(p[0]), y=float(p[1]), z=float(p[2]))
