"""Planes and boxes that the robot keeps away from, in the root link's frame; as text in settings.

    plane      NAME nx ny nz d                            the robot stays where n . p > d
    box        NAME x y z  roll pitch yaw  dx dy dz       the robot stays outside: centre, rotation, edges
    keep_in    NAME x y z  roll pitch yaw  dx dy dz       the robot stays inside: six planes

A box that the robot stays in is the intersection of its faces' half spaces, so that the distance from inside is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..exceptions import ConfigurationError
from ..robots.urdf import transform
from ..types import Array
from .capsules import named_numbers

_PLANE_FORM = "write 'NAME nx ny nz d': the robot stays where n . p > d, in the frame of the root link [m]"
_BOX_FORM = "write 'NAME x y z  roll pitch yaw  dx dy dz': centre [m], rotation [rad] and edges [m] of the box"
FACES = ("x+", "x-", "y+", "y-", "z+", "z-")


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """The robot stays where `normal` (3,) . p > `offset` [m]; the normal has the length 1."""

    name: str
    normal: Array
    offset: float


@dataclass(frozen=True, eq=False, slots=True)
class Box:
    """A box about `centre` (3,) [m] with the half edges `half` (3,) [m] along the columns of `rotation` (3, 3)."""

    name: str
    centre: Array
    rotation: Array
    half: Array


Obstacle = Plane | Box


def parse_obstacles(planes: Sequence[str], boxes: Sequence[str], keep_in: Sequence[str]) -> list[Obstacle]:
    """Return the obstacles of the settings of these names; ConfigurationError for a bad one."""
    found: list[Obstacle] = [_plane(text) for text in planes]
    found += [_box(text, "collision.boxes") for text in boxes]
    for text in keep_in:
        found += faces(_box(text, "collision.keep_in"))
    names = [obstacle.name for obstacle in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ConfigurationError(f"two obstacles are called '{double}'; give each a name", key="collision.planes")
    return found


def faces(box: Box) -> list[Obstacle]:
    """Return the six planes between which a robot inside `box` stays."""
    planes: list[Obstacle] = []
    for i, name in enumerate(FACES):
        normal = (-1.0 if i % 2 == 0 else 1.0) * box.rotation[:, i // 2]
        planes.append(Plane(f"{box.name}.{name}", normal, float(normal @ box.centre) - float(box.half[i // 2])))
    return planes


def _plane(text: str) -> Plane:
    name, values = named_numbers(text, 4, "collision.planes", _PLANE_FORM)
    length = float(np.linalg.norm(values[:3]))
    if length < 1e-6:
        raise ConfigurationError(
            f"'collision.planes': the normal of '{text}' is zero; {_PLANE_FORM}", key="collision.planes", value=text
        )
    return Plane(name, values[:3] / length, float(values[3]) / length)


def _box(text: str, key: str) -> Box:
    name, values = named_numbers(text, 9, key, _BOX_FORM)
    if (values[6:] <= 0.0).any():
        raise ConfigurationError(f"'{key}': the edges of '{text}' must be above 0", key=key, value=text)
    return Box(name, values[:3], transform(np.zeros(3), values[3:6])[:3, :3], 0.5 * values[6:])
