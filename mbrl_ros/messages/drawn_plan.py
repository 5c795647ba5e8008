"""Read what a controller draws of its plan on ~/markers. Without ROS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..robots.rotation import matrix_of
from ..types import Array
from .obstacles import ADD
from .readers import Message, seconds

MOST_DRAWN = 10_000  # points of a path, and markers


class DrawnPlan(NamedTuple):
    """What is drawn of a plan; None where that is missing or not finite.

    path (T, 3) of the end effector and target (3,) [m]; tube (T, 3, 3) [m]: the ellipsoid of two standard deviations at
    each point of the path, its half axes in columns.
    """

    path: Array | None
    target: Array | None
    tube: Array | None


def read_plan(message: Message) -> tuple[float, DrawnPlan]:
    """Return the stamp [s] of a visualization_msgs/MarkerArray, and what is drawn."""
    stamp, path, target = 0.0, None, None
    tube: list[Array] = []
    for marker in message.markers[:MOST_DRAWN]:
        if marker.ns == "plan":
            stamp = seconds(marker.header.stamp)
            points = np.array([(p.x, p.y, p.z) for p in marker.points[:MOST_DRAWN]], dtype=float).reshape(-1, 3)
            path = points if len(points) and np.isfinite(points).all() else None
        elif marker.ns == "target" and marker.action == ADD:
            p = marker.pose.position
            target = np.array([p.x, p.y, p.z], dtype=float)
        elif marker.ns == "tube" and marker.action == ADD:
            tube.append(_half_axes(marker))
    axes = np.array(tube)
    whole = path is not None and len(axes) == len(path) and np.isfinite(axes).all()
    return stamp, DrawnPlan(
        path, target if target is not None and np.isfinite(target).all() else None, axes if whole else None
    )


def _half_axes(marker: Message) -> Array:
    """Return the half axes (3, 3) [m] of an ellipsoid, in columns; NaN where its rotation is none."""
    o, size = marker.pose.orientation, marker.scale
    q = np.array([o.x, o.y, o.z, o.w], dtype=float)
    length = float(np.linalg.norm(q))
    if not (np.isfinite(length) and length > 0.0):
        return np.full((3, 3), np.nan)
    axes: Array = matrix_of(q / length) * (0.5 * np.array([size.x, size.y, size.z], dtype=float))
    return axes
