"""Draw for RViz: a plan's path of the end effector, its tube and its target; the robot's capsules and the obstacles."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from ..collision.capsules import turned_to
from ..collision.obstacles import Box
from ..collision.scene import Scene
from ..robots import Robot
from ..robots.rotation import quaternion_of
from ..types import Array

PATH = ColorRGBA(r=0.1, g=0.5, b=0.9, a=1.0)
TUBE = ColorRGBA(r=0.1, g=0.5, b=0.9, a=0.15)
TARGET = ColorRGBA(r=0.9, g=0.4, b=0.1, a=0.7)
CAPSULE = ColorRGBA(r=0.2, g=0.7, b=0.3, a=0.4)
OBSTACLE = ColorRGBA(r=0.8, g=0.2, b=0.2, a=0.4)
TUBE_LIFETIME = 1  # [s] after which a tube that is not followed by another is drawn no more
THINNEST = 1e-4  # [m] diameter of an ellipsoid: displays do not draw what has none
PLANE_EDGE, PLANE_THICKNESS = 2.0, 0.004  # [m] of the piece of a plane that is drawn


class PlanMarkers:
    """Draws plans in `frame`. The messages are made once: to fill them in takes a tenth of the time."""

    def __init__(self, frame: str):
        self._frame = frame
        self._line = Marker(ns="plan", id=0, type=Marker.LINE_STRIP, action=Marker.ADD, color=PATH)
        self._line.scale.x = 0.005
        self._sphere = Marker(ns="target", id=1, type=Marker.SPHERE, color=TARGET)
        self._sphere.scale = Vector3(x=0.03, y=0.03, z=0.03)
        self._ellipsoids: list[Marker] = []

    def at(self, path: Array, target: Array | None, stamp: Time, tube: Array | None = None) -> MarkerArray:
        """Draw the path (T, 3) [m] of the end effector along the plan and its target (3,) [m], or None.

        tube: the ellipsoids around the path, their half axes (T, 3, 3) [m] in columns; None, or not finite: not drawn.
        What is returned holds until the next call.
        """
        self._line.points = [_point(p) for p in path]
        self._sphere.action = Marker.DELETE if target is None else Marker.ADD
        if target is not None:
            _place(self._sphere, target)
        markers = [self._line, self._sphere]
        if tube is not None and np.isfinite(tube).all():
            while len(self._ellipsoids) < len(path):
                self._ellipsoids.append(_ellipsoid(len(self._ellipsoids)))
            for marker, center, axes in zip(self._ellipsoids, path, tube, strict=False):
                _turn(marker, center, axes)
                markers.append(marker)
        for marker in markers:
            marker.header.frame_id, marker.header.stamp = self._frame, stamp
        return MarkerArray(markers=markers)


def _ellipsoid(number: int) -> Marker:
    marker = Marker(ns="tube", id=number, type=Marker.SPHERE, action=Marker.ADD, color=TUBE)
    marker.lifetime.sec = TUBE_LIFETIME
    return marker


def _turn(marker: Marker, center: Array, axes: Array) -> None:
    """Make a marker the ellipsoid at `center` (3,) [m] whose half axes are the columns of `axes` (3, 3) [m]."""
    sizes = np.linalg.norm(axes, axis=0)
    rotation = np.divide(axes, sizes, out=np.eye(3), where=sizes.min() > 0.0)
    turned, scale = marker.pose.orientation, marker.scale
    turned.x, turned.y, turned.z, turned.w = quaternion_of(rotation).tolist()
    scale.x, scale.y, scale.z = np.maximum(2.0 * sizes, THINNEST).tolist()
    _place(marker, center)


def _place(marker: Marker, center: Array) -> None:
    at = marker.pose.position
    at.x, at.y, at.z = center.tolist()


def capsule_markers(scene: Scene, robot: Robot) -> MarkerArray:
    """Draw the capsules of `robot` in the frames of their links, and the obstacles of `scene` in the root link's."""
    markers = [Marker(action=Marker.DELETEALL)]

    def add(ns: str, kind: int, frame: str, place: tuple[Array, Array], scale: Array, color: ColorRGBA) -> None:
        marker = Marker(ns=ns, id=len(markers), type=kind, action=Marker.ADD, color=color, frame_locked=True)
        marker.header.frame_id = robot.frame_prefix + frame
        marker.pose.position = _point(place[0])
        x, y, z, w = quaternion_of(place[1]).tolist()
        marker.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
        marker.scale = Vector3(x=float(scale[0]), y=float(scale[1]), z=float(scale[2]))
        markers.append(marker)

    for one in scene.capsules:
        size, length = np.full(3, 2.0 * one.radius), float(np.linalg.norm(one.b - one.a))
        for end in (one.a, one.b):
            add("capsules", Marker.SPHERE, one.link, (end, np.eye(3)), size, CAPSULE)
        if length > 0.0:
            place = 0.5 * (one.a + one.b), turned_to((one.b - one.a) / length)
            add("capsules", Marker.CYLINDER, one.link, place, np.array([size[0], size[1], length]), CAPSULE)
    for other in scene.obstacles:
        if isinstance(other, Box):
            add("obstacles", Marker.CUBE, robot.root, (other.centre, other.rotation), 2.0 * other.half, OBSTACLE)
        else:
            piece = np.array([PLANE_EDGE, PLANE_EDGE, PLANE_THICKNESS])
            place = (other.offset * other.normal, turned_to(other.normal))
            add("obstacles", Marker.CUBE, robot.root, place, piece, OBSTACLE)
    return MarkerArray(markers=markers)


def obstacle_markers(boxes: Iterable[Box], frame: str) -> MarkerArray:
    """Write boxes as ~/obstacles takes them, in the frame of the root link."""
    markers = []
    for number, box in enumerate(boxes):
        marker = Marker(ns=box.name, id=number, type=Marker.CUBE, action=Marker.ADD, color=OBSTACLE)
        marker.header.frame_id = frame
        marker.pose.position = _point(box.centre)
        x, y, z, w = quaternion_of(box.rotation).tolist()
        marker.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
        marker.scale = Vector3(x=2.0 * float(box.half[0]), y=2.0 * float(box.half[1]), z=2.0 * float(box.half[2]))
        markers.append(marker)
    return MarkerArray(markers=markers)


def _point(p: Array) -> Point:
    return Point(x=float(p[0]), y=float(p[1]), z=float(p[2]))
