"""Capsules of a robot's links from its URDF: the smallest one over all <collision> elements of a link.

It covers spheres, the rims of cylinders, the corners of boxes and the vertices of meshes (cover.py). A link without
shapes that can be read gets a capsule of a given radius from its joint to each of those that it carries; at the end of
a chain, where nothing tells how far it reaches, a sphere about each shape that cannot be read.
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


LARGEST_MESH_SIZE = 10.0  # [m] in any direction; more is a mistake of units


class Shapes(NamedTuple):
    """The capsules of all links, and what to say about those that were guessed.

    guessed: links with a capsule whose radius is a guess; unknown: those of them of which no joint tells the length.
    """

    capsules: list[Capsule]
    notes: list[str]
    guessed: list[str]
    unknown: list[str]


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
    tree, found = parse(urdf), Shapes([], [], [], [])
    for link in parsed(urdf).findall("link"):
        name, shapes = link.get("name", ""), link.findall("collision")
        parts, unread, reasons = list[tuple[Array, Array]](), list[Array](), list[str]()
        for shape in shapes:
            what = f"<collision> of link '{name}'"
            T = placement(shape.find("origin"), what)
            try:
                points, sizes = _spheres(shape, what, folder)
                parts.append((points @ T[:3, :3].T + T[:3, 3], sizes))
            except _UnreadableError as error:
                unread.append(T[:3, 3])
                reasons.append(str(error))
        if parts:
            points, sizes = (np.concatenate(column) for column in zip(*parts, strict=True))
            found.capsules.append(Capsule(name, *capsule_over(points, sizes, _axes(link, points, name))))
        if reasons or not shapes:
            _guess(found, tree, link, radius, unread, reasons)
    return found


def _guess(
    found: Shapes, tree: Tree, link: ElementTree.Element, radius: float, unread: list[Array], reasons: list[str]
) -> None:
    """Add capsules of `radius` [m] for what of a link is not known; unread (3,): the origins of unreadable shapes."""
    name = link.get("name", "")
    guessed = _guessed(tree, name, radius)
    if unread and not guessed:
        guessed = [Capsule(name, centre, centre, radius) for centre in unread]
        found.unknown.append(name)
    found.capsules.extend(guessed)
    if guessed:
        found.guessed.append(name)
        reason = "; ".join(reasons) or "it has no <collision>"
        found.notes.append(f"link '{name}': {len(guessed)} capsule(s) of radius {radius:g} m GUESSED: {reason}")
    elif link.find("visual") is not None:
        found.notes.append(f"link '{name}' is seen (<visual>), but has no <collision>: it has NO CAPSULE")


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
        points = np.asarray(vertices(file) * scale)
    except RobotDescriptionError as error:
        raise _UnreadableError(str(error)) from None
    if (size := float(np.ptp(points, axis=0).max())) > LARGEST_MESH_SIZE:
        raise _UnreadableError(f"the mesh '{name}' is {size:.4g} m large; give its scale if it is not in metres")
    return points


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
