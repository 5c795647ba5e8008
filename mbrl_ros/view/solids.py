"""The shapes of a robot as triangles, for outputs that draw them without a browser.

Meshes of a robot have many more triangles than a picture of it has pixels there: vertices in one cube of a grid become
one, and triangles that shrink to an edge or a point are left out (vertex clustering, Rossignac and Borrel 1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import MEGABYTE
from ..types import Array
from .shapes import UNCOLORED, Shape, Shapes

LARGEST_DRAWN = 64 * MEGABYTE
FINEST = 0.0025  # [m] edge of the cubes
SHORTEST_SEGMENT = 1e-5  # [m] of a line: less has no direction in single precision


@dataclass(frozen=True, eq=False)
class Solid:
    """Triangles: vertices (V, 3) [m], faces (F, 3) of their numbers, normals (F, 3) and colors (F, 3) in 0..1."""

    vertices: Array
    faces: Array
    normals: Array
    colors: Array


def load_mesh(file: Path) -> Any:
    """Return a trimesh.Trimesh of a file, its parts put together."""
    import trimesh

    if file.stat().st_size > LARGEST_DRAWN:
        raise ValueError(f"larger than {LARGEST_DRAWN / MEGABYTE:g} MB")
    return trimesh.load(file, force="mesh")


def solid_of(shape: Shape) -> Solid:
    """Return the triangles of a shape in the frame of its link; whatever the reader of its file raises."""
    import trimesh

    scale, colors = np.ones(3), None
    if shape.file is not None:
        mesh, scale = load_mesh(shape.file), np.array(shape.size)
        if shape.color is None and mesh.visual.kind is not None:
            of_vertices = np.atleast_2d(np.asarray(mesh.visual.to_color().vertex_colors, dtype=float))[:, :3] / 255.0
            colors = np.broadcast_to(of_vertices, (len(mesh.vertices), 3))[mesh.faces].mean(axis=1)
    elif shape.kind == "box":
        mesh = trimesh.creation.box(shape.size)
    elif shape.kind == "sphere":
        mesh = trimesh.creation.icosphere(subdivisions=3, radius=shape.size[0])
    else:
        mesh = trimesh.creation.cylinder(shape.size[0], height=shape.size[1], sections=48)
    vertices = np.asarray(mesh.vertices, dtype=float) * scale @ shape.pose[:3, :3].T + shape.pose[:3, 3]
    faces = np.asarray(mesh.faces, dtype=int)
    if colors is None:
        colors = np.tile(np.clip(shape.color or UNCOLORED, 0.0, 1.0), (len(faces), 1))
    return clustered(vertices, faces, colors)


def clustered(vertices: Array, faces: Array, colors: Array, edge: float = FINEST) -> Solid:
    """Return triangles with one vertex, the mean, in every cube of `edge` [m]. Normals stay as they were."""
    normals = normals_of(vertices, faces)
    _, cube = np.unique(np.floor(vertices / edge).astype(int), axis=0, return_inverse=True)
    cube = cube.ravel()
    merged = np.stack([np.bincount(cube, axis) for axis in vertices.T], axis=1) / np.bincount(cube)[:, None]
    new = cube[faces]
    area = normals.any(axis=1) & (new[:, 0] != new[:, 1]) & (new[:, 1] != new[:, 2]) & (new[:, 2] != new[:, 0])
    _, first = np.unique(np.sort(new[area], axis=1), axis=0, return_index=True)
    kept = np.flatnonzero(area)[first]
    return Solid(merged, new[kept], normals[kept], colors[kept])


def normals_of(vertices: Array, faces: Array) -> Array:
    """Return the unit normals (F, 3) of triangles; zeros for one without an area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    n = np.cross(b - a, c - a)
    length = np.linalg.norm(n, axis=1, keepdims=True)
    normals: Array = np.divide(n, length, out=np.zeros_like(n), where=length > 0.0)
    return normals


def solids_of(shapes: Shapes) -> tuple[dict[str, list[Solid]], list[str]]:
    """Return {link: its solids}, and the names of what cannot be drawn."""
    found: dict[str, list[Solid]] = {}
    undrawn = list(shapes.missing)
    for shape in shapes.shapes:
        try:
            found.setdefault(shape.link, []).append(solid_of(shape))
        except ModuleNotFoundError:
            raise
        except Exception as error:  # a mesh's reader raises whatever its format's parser raises
            undrawn.append(f"{shape.file}: {' '.join(str(error).split())[:100]}")
    return found, undrawn


def line_along(path: Array, radius: float, color: tuple[float, float, float]) -> Solid:
    """Return a round line along `path` (T, 3) [m]."""
    return tube_along(path, np.tile(radius * np.eye(3), (len(path), 1, 1)), color, sides=8)


def drawn_segments(path: Array) -> NDArray[np.float32]:
    """Return the line segments (T - 1, 2, 3) [m] along `path` (T, 3) [m], in single precision; none without a length.

    A renderer turns a segment to face the camera by its direction, which one without a length does not have: where it
    comes out is undefined. The neighbor is drawn in its place, so that their number stays.
    """
    points: NDArray[np.float32] = np.stack([path[:-1], path[1:]], axis=1).astype(np.float32)
    long = np.flatnonzero(np.linalg.norm(points[:, 1] - points[:, 0], axis=1) > SHORTEST_SEGMENT)
    if not long.size:
        return np.zeros((0, 2, 3), dtype=np.float32)
    before = np.searchsorted(long, np.arange(len(points)), side="right") - 1
    return points[long[np.maximum(before, 0)]]


def tube_along(path: Array, axes: Array, color: tuple[float, float, float], sides: int = 16) -> Solid:
    """Return a tube along `path` (T, 3) [m] around ellipsoids, whose half axes are the columns of `axes` (T, 3, 3) [m].

    Across the path it is as wide as they are: seen along the path, one with the axes A is the ellipse L [cos; sin] with
    L L^T = [x, y]^T A A^T [x, y], L lower triangular, x and y across the path. The tube ends in the last ellipsoid.
    """
    ahead = np.gradient(path, axis=0)
    length = np.linalg.norm(ahead, axis=1, keepdims=True)
    ahead = np.divide(ahead, length, out=np.tile([0.0, 0.0, 1.0], (len(path), 1)), where=length > 1e-9)
    other = np.eye(3)[np.argmin(np.abs(ahead).max(axis=0))]
    x = np.cross(ahead, other)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    y = np.cross(ahead, x)
    across = np.einsum("tki,tkj->tij", axes, np.stack([x, y], axis=2))  # A^T [x, y]
    xx, xy, yy = (np.sum(across[..., i] * across[..., j], axis=1) for i, j in ((0, 0), (0, 1), (1, 1)))
    first = np.sqrt(xx)
    shear = np.divide(xy, first, out=np.zeros_like(xy), where=first > 0.0)
    second = np.sqrt(np.maximum(yy - shear**2, 0.0))
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    to_x = first[:, None] * np.cos(angles)
    to_y = shear[:, None] * np.cos(angles) + second[:, None] * np.sin(angles)
    vertices = (path[:, None] + to_x[..., None] * x[:, None] + to_y[..., None] * y[:, None]).reshape(-1, 3)
    k, s = np.meshgrid(np.arange(len(path) - 1) * sides, np.arange(sides), indexing="ij")
    a, b = (k + s).ravel(), (k + (s + 1) % sides).ravel()
    faces = np.concatenate([np.stack([a, b, a + sides], axis=1), np.stack([b, b + sides, a + sides], axis=1)])
    tube = Solid(vertices, faces, normals_of(vertices, faces), np.tile(color, (len(faces), 1)))
    return joined([tube, ball(path[-1], axes[-1], color)])


def ball(center: Array, axes: Array, color: tuple[float, float, float]) -> Solid:
    """Return an ellipsoid at `center` (3,) [m] whose half axes are the columns of `axes` (3, 3) [m]."""
    sides, rings = 16, 9
    u, v = np.meshgrid(np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False), np.linspace(0.0, np.pi, rings))
    unit = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=-1).reshape(-1, 3)
    k, s = np.meshgrid(np.arange(rings - 1) * sides, np.arange(sides), indexing="ij")
    a, b = (k + s).ravel(), (k + (s + 1) % sides).ravel()
    faces = np.concatenate([np.stack([a, b, a + sides], axis=1), np.stack([b, b + sides, a + sides], axis=1)])
    vertices = center + unit @ axes.T
    return Solid(vertices, faces, normals_of(vertices, faces), np.tile(color, (len(faces), 1)))


def joined(solids: list[Solid]) -> Solid:
    """Return all solids as one."""
    if not solids:
        return Solid(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), np.zeros((0, 3)), np.zeros((0, 3)))
    first = np.cumsum([0, *(len(solid.vertices) for solid in solids[:-1])])
    return Solid(
        np.concatenate([solid.vertices for solid in solids]),
        np.concatenate([solid.faces + k for solid, k in zip(solids, first, strict=True)]),
        np.concatenate([solid.normals for solid in solids]),
        np.concatenate([solid.colors for solid in solids]),
    )
