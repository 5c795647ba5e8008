"""Draw triangles by a depth buffer, in numpy: a picture needs no graphics card, no display and no library of a system.

A pinhole camera at `eye` sees p at r = R (p - eye) (x to the right, y down, z ahead), at the pixel f (x, y)/z + center.
Over a triangle 1/z is linear in the pixel, so that the nearest triangle at a pixel is the one with the largest 1/z.
Triangles are taken in groups of about one size, those of a group at once over squares of that size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Array

Integers = NDArray[np.signedinteger[Any]]

NEAREST = 0.02  # [m] what is nearer is not drawn
AT_ONCE = 1 << 15  # pixels of squares: as many as a processor keeps near
FIELD = 0.6  # [rad] the angle over a picture's height


@dataclass(frozen=True, eq=False)
class Eye:
    """A camera: `eye` (3,) [m], rotation R (3, 3), focal length f and size (width, height) in pixels."""

    eye: Array
    R: Array
    f: float
    size: tuple[int, int]

    @staticmethod
    def around(points: Array, direction: Array, size: tuple[int, int], margin: float = 0.06) -> Eye:
        """Return the nearest camera in `direction` (3,) of what it looks at that sees `points` (K, 3) [m]."""
        z = -direction / np.linalg.norm(direction)
        x = np.cross(z, [0.0, 0.0, 1.0])
        x /= np.linalg.norm(x)
        R = np.stack([x, np.cross(z, x), z])
        seen = points @ R.T
        width, height = size
        f = 0.5 * height / math.tan(0.5 * FIELD)
        tangent = (1.0 - 2.0 * margin) * 0.5 * np.array([width, height]) / f
        center = 0.5 * (seen.min(axis=0) + seen.max(axis=0))
        for _ in range(20):  # the middle of what is seen depends on how far it is away
            d = float((np.abs(seen[:, :2] - center[:2]) / tangent - (seen[:, 2:] - center[2])).max())
            place = (seen[:, :2] - center[:2]) / (d + seen[:, 2:] - center[2])
            center[:2] += 0.5 * d * (place.min(axis=0) + place.max(axis=0)) * 0.5
        return Eye(R.T @ (center - [0.0, 0.0, d]), R, f, size)

    def scaled(self, factor: float) -> Eye:
        """Return the same view with `factor` times as many pixels along each side."""
        width, height = (round(factor * side) for side in self.size)
        return Eye(self.eye, self.R, self.f * factor, (width, height))

    def project(self, points: Array) -> tuple[Array, Array]:
        """Return pixels (K, 2) and depths z (K,) [m] of points (K, 3) [m]."""
        seen = (points - self.eye) @ self.R.T
        z = seen[:, 2]
        away = np.where(z > NEAREST, z, np.inf)
        return self.f * seen[:, :2] / away[:, None] + 0.5 * np.array(self.size), z

    def rays(self) -> Array:
        """Return where the pixels look (height, width, 3) in the root frame; along the camera 1 m each."""
        width, height = self.size
        x, y = np.meshgrid(np.arange(width) + 0.5 - 0.5 * width, np.arange(height) + 0.5 - 0.5 * height)
        return np.stack([x / self.f, y / self.f, np.ones_like(x)], axis=-1) @ self.R


class Canvas:
    """Pixels of `eye` with the nearest triangle at each: inverse depth (P,) [1/m], and its number (P,), -1 for none."""

    def __init__(self, eye: Eye):
        self.eye = eye
        width, height = eye.size
        self.inverse = np.zeros(width * height)
        self.number = np.full(width * height, -1)

    def draw(self, vertices: Array, faces: Array) -> None:
        """Draw triangles; the number of each is its row in `faces` (F, 3)."""
        pixels, z = self.eye.project(vertices)
        width, height = self.eye.size
        corners, depth = pixels[faces], z[faces]
        a, b, c = (corners[:, k] for k in range(3))
        low = np.floor(np.minimum(np.minimum(a, b), c)).astype(int)
        high = np.ceil(np.maximum(np.maximum(a, b), c)).astype(int)
        ahead = np.minimum(np.minimum(depth[:, 0], depth[:, 1]), depth[:, 2]) > NEAREST
        visible = ahead & (high[:, 0] > 0) & (high[:, 1] > 0) & (low[:, 0] < width) & (low[:, 1] < height)
        low = np.maximum(low, 0)
        span = np.maximum(np.minimum(high[:, 0], width) - low[:, 0], np.minimum(high[:, 1], height) - low[:, 1])
        group = np.ceil(np.log2(np.maximum(span, 1))).astype(int)
        for size in np.unique(group[visible]):
            chosen = np.flatnonzero(visible & (group == size))
            step = max(1, AT_ONCE >> 2 * int(size))
            for k in range(0, len(chosen), step):
                part = chosen[k : k + step]
                self._fill(part, corners[part], 1.0 / depth[part], low[part], 1 << int(size))

    def _fill(self, numbers: Integers, corners: Array, inverse: Array, low: Integers, side: int) -> None:
        """Draw triangles whose bounding boxes begin at pixels `low` (K, 2) and fit into squares of `side` pixels."""
        width, height = self.eye.size
        a, b, c = (corners[:, k] for k in range(3))
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
        area = np.where(area == 0.0, np.nan, area)[:, None]
        along = np.arange(side) + 0.5
        weights = []  # of the corners a and b at the middle of each pixel: u(x, y) = u_0 + u_x x + u_y y
        for one, two in ((b, c), (c, a)):
            edge, off = (two - one) / area, low - one
            of_row = edge[:, :1] * (off[:, 1:] + along)
            of_column = -edge[:, 1:] * (off[:, :1] + along)
            weights.append((of_row[:, :, None] + of_column[:, None, :]).astype(np.float32))
        u, v = weights
        hit = np.flatnonzero((u >= 0.0) & (v >= 0.0) & (u + v <= 1.0))
        k, row, column = np.unravel_index(hit, u.shape)
        row_at, column_at = low[k, 1] + row, low[k, 0] + column
        inside = (row_at < height) & (column_at < width)
        k, hit, row_at, column_at = k[inside], hit[inside], row_at[inside], column_at[inside]
        at, first, second = row_at * width + column_at, u.ravel()[hit], v.ravel()[hit]
        far = inverse[:, 2]
        near = far[k] + first * (inverse[:, 0] - far)[k] + second * (inverse[:, 1] - far)[k]
        np.maximum.at(self.inverse, at, near)
        nearest = self.inverse[at] == near
        self.number[at[nearest]] = numbers[k[nearest]]


def shaded(normals: Array, colors: Array, light: Array, view: Array) -> Array:
    """Return the colors (F, 3) of triangles in the light from `light` (3,), seen from `view` (3,): Blinn and Phong.

    Both sides are drawn: the normal taken is the one toward the eye.
    """
    facing = np.where((normals @ view)[:, None] < 0.0, -normals, normals)
    half = light + view
    bright = np.clip(facing @ light, 0.0, 1.0)[:, None]
    gloss = np.clip(facing @ (half / np.linalg.norm(half)), 0.0, 1.0)[:, None] ** 24
    above = 0.5 + 0.5 * facing[:, 2:]
    lit: Array = colors * (0.30 + 0.20 * above + 0.58 * bright) + 0.16 * gloss
    return np.clip(lit, 0.0, 1.0)
