"""Capsules of a robot's links from its URDF: the smallest one over all <collision> elements of a link.

It covers spheres, the rims of cylinders, the corners of boxes and the vertices of meshes (cover.py). A link without
shapes that can be read gets a capsule of a given radius from its joint to each of those that it carries.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..exceptions import RobotDescriptionError
from ..robots.document import number, numbers, parsed
from ..robots.meshes import find_mesh
from ..robots.urdf import Tree, parse, placement
from ..types import Array
from .capsules import Capsule
from .cover import box_corners, capsule_over, cylinder_rims, principal_axes
from .mesh_vertices import READERS, vertices

SHORTEST_LINK = 1e-3  # [m] between joints; a link that is shorter gets a sphere


class Shapes(NamedTuple):
    """The capsules of all links, and what to say about those that were guessed."""

    capsules: list[Capsule]
    notes: list[str]


def capsules_of(urdf: str, radius: float, folder: Path | None = None) -> Shapes:
    """Return the capsules of the links of `urdf`.

    Parameters
    ----------
    urdf
        text.
    radius
        of guessed capsules [m].
    folder
        which relative names of meshes refer to.

    Raises
    ------
    RobotDescriptionError
        A <collision> element is malformed; the message names its link.
    """
    tree, found = parse(urdf), Shapes([], [])
    for link in parsed(urdf).findall("link"):
        name, reason = link.get("name", ""), "it has no <collision>"
        parts: list[tuple[Array, Array]] = []
        for shape in link.findall("collision"):
            what = f"<collision> of link '{name}'"
            T = placement(shape.find("origin"), what)
            try:
                points, sizes = _spheres(shape, what, folder)
            except _UnreadableError as error:
                parts, reason = [], str(error)
                break
            parts.append((points @ T[:3, :3].T + T[:3, 3], sizes))
        if parts:
            points, sizes = (np.concatenate(column) for column in zip(*parts, strict=True))
            found.capsules.append(Capsule(name, *capsule_over(points, sizes, _axes(link, points, name))))
            continue
        guessed = _guessed(tree, name, radius)
        found.capsules.extend(guessed)
        if guessed:
            found.notes.append(f"link '{name}': {len(guessed)} capsule(s) of radius {radius:g} m GUESSED: {reason}")
    return found


def _axes(link: ElementTree.Element, points: Array, name: str) -> Array:
    """Return the directions (m, 3) that are tried: those of the shapes' frames, and of the points together."""
    origins = [shape.find("origin") for shape in link.findall("collision")]
    frames = [placement(origin, f"<collision> of link '{name}'")[:3, :3].T for origin in origins]
    return np.concatenate([*frames, principal_axes(points)])


class _UnreadableError(Exception):
    """A shape whose size cannot be found out; the text says why."""


def _spheres(shape: ElementTree.Element, what: str, folder: Path | None) -> tuple[Array, Array]:
    """Return centres (N, 3) and radii (N,) of spheres whose hull is a <collision> element, in its own frame."""
    geometry = shape.find("geometry")
    given = None if geometry is None else next(iter(geometry), None)
    if given is None:
        raise _UnreadableError("its <collision> holds no geometry")
    if given.tag == "sphere":
        return np.zeros((1, 3)), _size(given, "radius", 1, what)
    if given.tag in ("cylinder", "capsule"):
        r, length = float(_size(given, "radius", 1, what)[0]), float(_size(given, "length", 1, what)[0])
        if given.tag == "capsule":
            return np.array([[0.0, 0.0, -0.5 * length], [0.0, 0.0, 0.5 * length]]), np.full(2, r)
        points = cylinder_rims(r, length)
    elif given.tag == "box":
        points = box_corners(_size(given, "size", 3, what))
    elif given.tag == "mesh":
        points = _mesh(given, what, folder)
    else:
        raise _UnreadableError(f"its <collision> is a <{given.tag}>, which is not known")
    return points, np.zeros(len(points))


def _mesh(given: ElementTree.Element, what: str, folder: Path | None) -> Array:
    name = given.get("filename", "")
    file = find_mesh(name, folder, READERS)
    if file is None:
        raise _UnreadableError(f"the mesh '{name}' is not here, or of no form that is read ({', '.join(READERS)})")
    scale = numbers(given.get("scale", "1 1 1"), 3, f"the scale of the mesh of {what}")
    try:
        return np.asarray(vertices(file) * scale)
    except RobotDescriptionError as error:
        raise _UnreadableError(str(error)) from None


def _size(given: ElementTree.Element, key: str, count: int, what: str) -> Array:
    text = given.get(key, "")
    values = (
        np.array([number(text, f"the {key} of {what}")]) if count == 1 else numbers(text, count, f"{key} of {what}")
    )
    if (values <= 0.0).any():
        raise RobotDescriptionError(f"the {key} of {what} must be above 0, got '{text}'")
    return values


def _guessed(tree: Tree, link: str, radius: float) -> list[Capsule]:
    """Return a capsule from the link's frame to each joint on it that is not there; none for a mere frame."""
    ends = [joint.origin[:3, 3] for joint in tree.joints if joint.parent == link]
    return [Capsule(link, np.zeros(3), end, radius) for end in ends if float(np.linalg.norm(end)) > SHORTEST_LINK]
