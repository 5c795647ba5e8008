"""The shapes of a URDF's links, for drawing them.

A link is drawn by its <visual> elements; where none can be read, by its <collision> elements; where it has none, by a
rod from its origin to each joint that it carries, so that a robot without shapes can be seen, too.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..exceptions import RobotDescriptionError
from ..robots import urdf
from ..robots.document import parsed
from ..robots.meshes import find_mesh
from ..types import Array

DRAWN_FORMATS = (".stl", ".obj", ".dae", ".glb", ".gltf", ".ply")
UNCOLORED = (0.72, 0.74, 0.78)  # of shapes without a colour
ROD = 0.012  # [m] radius of a link without shapes
SHORTEST_ROD = 1e-3  # [m] rod
MOST_SHAPES = 2000


@dataclass(frozen=True, eq=False)
class Shape:
    """A shape on `link`, at `pose` = link_T_shape (4, 4) [m].

    kind: box (size: its edges), cylinder (radius, length along z), sphere (radius), all [m], or mesh (scale of `file`).
    color: red, green, blue in 0..1, or None for that of the mesh.
    """

    link: str
    kind: str
    size: tuple[float, ...]
    pose: Array
    color: tuple[float, float, float] | None = None
    file: Path | None = None


@dataclass
class Shapes:
    """All shapes of a robot; `missing` names meshes that are nowhere or in a format that is not read."""

    tree: urdf.Tree
    shapes: list[Shape] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def read_shapes(text: str, folder: Path | None = None) -> Shapes:
    """Read the shapes of the URDF `text`; `folder` is the one that relative mesh names refer to.

    Raises
    ------
    RobotDescriptionError
        The text is no robot description.
    """
    root, found = parsed(text), Shapes(urdf.parse(text))
    colors = {m.get("name", ""): _color(m) for m in root.findall("material")}
    for link in root.findall("link"):
        name = link.get("name", "")
        for kind in ("visual", "collision"):
            shapes = [_shape(name, element, colors, folder, found.missing) for element in link.findall(kind)]
            drawn = [shape for shape in shapes if shape is not None]
            if drawn:
                found.shapes += drawn
                break
        else:
            found.shapes += _rods(name, found.tree)
    if len(found.shapes) > MOST_SHAPES:
        raise RobotDescriptionError(f"{len(found.shapes)} shapes are more than {MOST_SHAPES}, which can be shown")
    return found


def _shape(
    link: str,
    element: ElementTree.Element,
    colors: dict[str, tuple[float, float, float] | None],
    folder: Path | None,
    missing: list[str],
) -> Shape | None:
    """Return the shape of a <visual> or <collision> element; None where it cannot be drawn."""
    geometry, material = element.find("geometry"), element.find("material")
    kinds = [] if geometry is None else list(geometry)
    if not kinds:
        return None
    pose, what = _pose(element.find("origin")), kinds[0]
    color = None if material is None else _color(material) or colors.get(material.get("name", ""))
    if what.tag == "mesh":
        name = what.get("filename", "")
        file = find_mesh(name, folder, DRAWN_FORMATS)
        if file is None:
            missing.append(name)
            return None
        return Shape(link, "mesh", _numbers(what.get("scale"), 3) or (1.0, 1.0, 1.0), pose, color, file)
    sizes = {
        "box": _numbers(what.get("size"), 3),
        "sphere": _numbers(what.get("radius"), 1),
        "cylinder": _numbers(f"{what.get('radius', '')} {what.get('length', '')}", 2),
    }
    size = sizes.get(what.tag)
    if size is None or min(size) <= 0.0:
        return None
    return Shape(link, what.tag, size, pose, color or UNCOLORED)


def _rods(link: str, tree: urdf.Tree) -> list[Shape]:
    """Return a rod to each joint that `link` carries."""
    rods = []
    for joint in tree.joints:
        end = joint.origin[:3, 3]
        length = float(np.linalg.norm(end))
        if joint.parent == link and length > SHORTEST_ROD:
            T = np.eye(4)
            T[:3, :3], T[:3, 3] = _turned_to(end / length), end / 2.0
            rods.append(Shape(link, "cylinder", (ROD, length), T, UNCOLORED))
    return rods


def _turned_to(direction: Array) -> Array:
    """Return a rotation (3, 3) whose z axis is a unit `direction` (3,)."""
    other = np.eye(3)[int(np.argmin(np.abs(direction)))]
    x = np.cross(other, direction)
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(direction, x), direction])


def _pose(origin: ElementTree.Element | None) -> Array:
    zero = (0.0, 0.0, 0.0)
    if origin is None:
        return np.eye(4)
    xyz, rpy = (_numbers(origin.get(key), 3) or zero for key in ("xyz", "rpy"))
    return urdf.transform(np.array(xyz), np.array(rpy))


def _color(material: ElementTree.Element) -> tuple[float, float, float] | None:
    color = material.find("color")
    values = None if color is None else _numbers(color.get("rgba"), 4)
    return None if values is None else (values[0], values[1], values[2])


def _numbers(text: str | None, count: int) -> tuple[float, ...] | None:
    """Return `count` finite numbers; None where that is not what `text` holds: a drawing is no reason for an error."""
    try:
        values = tuple(float(word) for word in (text or "").split())
    except ValueError:
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None
