"""The vertices of a mesh: STL (binary and text), OBJ, and COLLADA as far as its geometries are placed by nodes."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..exceptions import RobotDescriptionError
from ..files import MEGABYTE, read_bytes
from ..robots.document import parsed, text_of
from ..types import Array

LARGEST_MESH = 64 * MEGABYTE
STL_HEADER, STL_TRIANGLE = 84, 50  # bytes
_STL_VERTEX = re.compile(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)")
_OBJ_VERTEX = re.compile(rb"^v\s+(\S+)\s+(\S+)\s+(\S+)", re.MULTILINE)


def vertices(path: Path) -> Array:
    """Return the vertices (N, 3) [m] of a mesh file, N > 0.

    Raises
    ------
    RobotDescriptionError
        The file cannot be read, holds no vertex, or has a form that is not known here.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise RobotDescriptionError(f"meshes of the form '{path.suffix}' are not read; convert it to STL")
    try:
        points = reader(read_bytes(path, LARGEST_MESH))
    except (OSError, ValueError, IndexError) as error:
        raise RobotDescriptionError(f"the mesh {path} cannot be read: {error}") from None
    if points.size == 0 or not np.isfinite(points).all():
        raise RobotDescriptionError(f"the mesh {path} has no vertices, or some that are no numbers")
    return np.unique(points, axis=0)


def _stl(content: bytes) -> Array:
    count = int.from_bytes(content[80:STL_HEADER], "little")
    if len(content) >= STL_HEADER and len(content) == STL_HEADER + STL_TRIANGLE * count:
        kind = np.dtype([("numbers", "<f4", (4, 3)), ("attribute", "<u2")])
        triangles = np.frombuffer(content, kind, count, STL_HEADER)["numbers"]
        return triangles[:, 1:].reshape(-1, 3).astype(np.float64)
    return _matches(_STL_VERTEX, content)


def _obj(content: bytes) -> Array:
    return _matches(_OBJ_VERTEX, content)


def _matches(pattern: re.Pattern[bytes], content: bytes) -> Array:
    return np.array([[float(number) for number in match] for match in pattern.findall(content)]).reshape(-1, 3)


def _collada(content: bytes) -> Array:
    root = parsed(text_of(content))
    if root.findtext("asset/up_axis", "Y_UP").strip() not in ("Z_UP", "Y_UP"):
        raise ValueError("its up_axis is neither Y_UP nor Z_UP")
    unit = root.find("asset/unit")
    scale = 1.0 if unit is None else float(unit.get("meter", "1"))
    geometries = {f"#{g.get('id')}": _positions(g) for g in root.iter("geometry")}
    parts = [
        points @ T[:3, :3].T + T[:3, 3]
        for scene in root.iter("visual_scene")
        for node in scene.findall("node")
        for points, T in _placed(node, np.eye(4), geometries)
    ]
    if any(True for _ in root.iter("instance_controller")) or any(True for _ in root.iter("instance_node")):
        raise ValueError("it places geometries in a way that is not read here; convert it to STL")
    return scale * np.concatenate(parts) if parts else np.empty((0, 3))


def _positions(geometry: ElementTree.Element) -> Array:
    """Return the vertices (N, 3) of a COLLADA <geometry>, in its own frame."""
    sources = {f"#{source.get('id')}": source for source in geometry.iter("source")}
    found = []
    for given in geometry.iter("input"):
        source = sources.get(given.get("source", "")) if given.get("semantic") == "POSITION" else None
        if source is not None:
            found.append(np.array([float(word) for word in source.findtext("float_array", "").split()]).reshape(-1, 3))
    return np.concatenate(found) if found else np.empty((0, 3))


def _placed(node: ElementTree.Element, T: Array, geometries: dict[str, Array]) -> Iterator[tuple[Array, Array]]:
    """Yield the vertices of each geometry below a COLLADA <node> and the transform (4, 4) of its frame."""
    for element in node:
        if element.tag in ("matrix", "translate", "rotate", "scale"):
            T = T @ _transform(element.tag, np.array([float(word) for word in (element.text or "").split()]))
    for instance in node.findall("instance_geometry"):
        points = geometries.get(instance.get("url", ""))
        if points is not None:
            yield points, T
    for below in node.findall("node"):
        yield from _placed(below, T, geometries)


def _transform(tag: str, values: Array) -> Array:
    T = np.eye(4)
    if tag == "matrix":
        return values.reshape(4, 4)
    if tag == "translate":
        T[:3, 3] = values.reshape(3)
    elif tag == "scale":
        T[:3, :3] = np.diag(values.reshape(3))
    else:
        axis, angle = values[:3], math.radians(values[3])
        K = np.cross(np.eye(3), axis / np.linalg.norm(axis)).T
        T[:3, :3] = np.eye(3) + math.sin(angle) * K + (1.0 - math.cos(angle)) * K @ K
    return T


READERS: dict[str, Callable[[bytes], Array]] = {".stl": _stl, ".obj": _obj, ".dae": _collada}
