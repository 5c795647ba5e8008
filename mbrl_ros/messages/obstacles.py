"""Obstacles from visualization_msgs/MarkerArray, read by its fields: boxes about its cubes, spheres and cylinders.

A marker is known by its namespace and id. ADD (or MODIFY) puts it in or in another place, DELETE takes it away,
DELETEALL takes all away. A message with anything that cannot be used is refused whole, so that no part of a scene is
lost without a word.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from ..collision.obstacles import Box
from ..exceptions import DataError, listed
from ..robots.rotation import matrix_of
from ..types import Array

MOST_OBSTACLES = 32
ADD, DELETE, DELETE_ALL = 0, 2, 3
SHAPES = {1: "cube", 2: "sphere", 3: "cylinder"}  # whose scale are the edges of the box around them
LONGEST_MARKER = 100  # characters


class ObstacleReader:
    """The obstacles that messages have told of; `frames` are the names of the root link's frame."""

    def __init__(self, frames: Collection[str]):
        self._frames = frames
        self._known: dict[str, Box] = {}

    def read(self, message: Any) -> list[Box]:
        """Take in a MarkerArray; return all obstacles there are then.

        Raises
        ------
        DataError
            One of its markers cannot be used; the obstacles are those of before.
        """
        known = dict(self._known)
        for marker in message.markers:
            name = f"{marker.ns}/{marker.id}"
            if len(name) > LONGEST_MARKER:
                raise DataError(f"a marker's namespace is longer than {LONGEST_MARKER} characters")
            if marker.action == DELETE_ALL:
                known.clear()
            elif marker.action == DELETE:
                known.pop(name, None)
            elif marker.action == ADD:
                known[name] = self._box(name, marker)
            else:
                raise DataError(f"marker {name} has the unknown action {marker.action}")
            if len(known) > MOST_OBSTACLES:
                raise DataError(f"there would be more than {MOST_OBSTACLES} obstacles; delete some, or join them")
        self._known = known
        return list(known.values())

    def _box(self, name: str, marker: Any) -> Box:
        if marker.type not in SHAPES:
            raise DataError(f"marker {name} is of type {marker.type}; obstacles are {listed(SHAPES.values())} (1 to 3)")
        if marker.header.frame_id not in self._frames:
            raise DataError(
                f"marker {name} is in the frame '{marker.header.frame_id[:80]}'; obstacles are given in "
                f"{listed(self._frames)}"
            )
        at, q, size = marker.pose.position, marker.pose.orientation, marker.scale
        centre, edges = np.array([at.x, at.y, at.z]), np.array([size.x, size.y, size.z])
        if not (np.isfinite(centre).all() and np.isfinite(edges).all() and (edges > 0.0).all()):
            raise DataError(f"marker {name} has a position or scale that is not finite, or a scale not above 0")
        return Box(name, centre, _rotation(name, np.array([q.x, q.y, q.z, q.w])), 0.5 * edges)


def _rotation(name: str, q: Array) -> Array:
    """Return the matrix (3, 3) of a quaternion x, y, z, w."""
    length = math.sqrt(float(q @ q))
    if not 0.99 < length < 1.01:
        raise DataError(f"the orientation of marker {name} is no unit quaternion (its length is {length:.3g})")
    return matrix_of(q / length)


def to_details(boxes: list[Box]) -> list[dict[str, Any]]:
    """Write obstacles as JSON values, for the event log."""
    return [
        {"name": b.name, "centre": b.centre.tolist(), "rotation": b.rotation.tolist(), "half": b.half.tolist()}
        for b in boxes
    ]


def of_details(details: list[dict[str, Any]]) -> list[Box]:
    """Read what `to_details` wrote."""
    keys = ("centre", "rotation", "half")
    return [Box(str(one["name"]), *(np.array(one[key], dtype=float) for key in keys)) for one in details]
