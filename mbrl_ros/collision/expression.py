r"""The signed distances of a scene and their derivatives as CasADi expressions, for costs that are compiled.

The formulas are those of distance.py but for boxes: the point of a segment nearest to a box is found by Newton's method
on a function that is quadratic in parts, and a segment that reaches into the box counts by the depth of its point that
is nearest to the middle, below the nearest face; the derivative holds that point. Outside, derivatives are written with
the nearest points held where they are (envelope theorem), which is exact and shorter than to differentiate the search.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from ..codegen.symbolic import casadi
from ..types import Array
from .chain import chain_function
from .obstacles import Box, Plane
from .scene import Scene

NO_WAY = 1e-12  # [m^2] added to squared lengths that are divided by
BOX_STEPS = 3  # to the nearest point of a segment, which all but end the search


class DistanceExpressions(NamedTuple):
    """d (N, 1) [m] and dd/dq (N, n), in the order of `Scene.name`."""

    d: casadi.SX
    gradient: casadi.SX


def distance_expressions(scene: Scene, q: casadi.SX, r: casadi.SX) -> DistanceExpressions:
    """Return the distances of `scene` at q (n,), r (k,), with the obstacles that it has now."""
    ends, Z, W = chain_function(scene.robot, scene.capsules)(q, r)
    segments = [(ends[:, 2 * i], ends[:, 2 * i + 1]) for i in range(len(scene.capsules))]
    found = [_segments(segments[i], segments[j]) for i, j in scene.pairs.tolist()]
    obstacles = {obstacle.name: obstacle for obstacle in scene.obstacles}
    for number in range(len(scene.pairs), len(scene)):
        capsule, name = scene.parties(number)
        obstacle = obstacles[name]
        place = _plane if isinstance(obstacle, Plane) else _box
        found.append(place(segments[capsule], obstacle))  # type: ignore[arg-type]  # chosen by its type
    rows = [_row(p, n, Z, W, signs) for (_, n, p), signs in zip(found, scene.joint_signs, strict=True)]
    d = casadi.vertcat(*(near[0] for near in found)) - casadi.SX(scene.sizes) if found else casadi.SX(0, 1)
    return DistanceExpressions(d, casadi.vertcat(*rows) if rows else casadi.SX(0, scene.robot.n))


Segment: TypeAlias = "tuple[casadi.SX, casadi.SX]"
Near: TypeAlias = "tuple[casadi.SX, casadi.SX, casadi.SX]"  # d, n, p of distance.py


def _row(p: casadi.SX, n: casadi.SX, Z: casadi.SX, W: casadi.SX, signs: Array) -> casadi.SX:
    """Return the derivatives (1, n) of a distance; `signs` (n,): which joints move it, and which way round."""
    moment, row = casadi.cross(p, n), casadi.SX(1, signs.size)
    for joint in np.flatnonzero(signs).tolist():
        row[joint] = float(signs[joint]) * (casadi.dot(Z[:, joint], moment) + casadi.dot(W[:, joint], n))
    return row


def _unit(t: casadi.SX) -> casadi.SX:
    return casadi.fmin(casadi.fmax(t, 0.0), 1.0)


def _segments(a: Segment, b: Segment) -> Near:
    u, v, w = a[1] - a[0], b[1] - b[0], a[0] - b[0]
    uu, uv, vv, uw, vw = (casadi.dot(x, y) for x, y in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    uu, vv = uu + NO_WAY, vv + NO_WAY
    s = _unit((uv * vw - uw * vv) / (uu * vv - uv * uv + NO_WAY))
    t = _unit((uv * s + vw) / vv)
    s = _unit((uv * t - uw) / uu)
    p = a[0] + s * u
    way = p - b[0] - t * v
    d = casadi.sqrt(casadi.dot(way, way) + NO_WAY)
    return d, way / d, p


def _plane(a: Segment, plane: Plane) -> Near:
    normal = casadi.SX(plane.normal)
    first, second = casadi.dot(normal, a[0]), casadi.dot(normal, a[1])
    lower = second < first
    return casadi.fmin(first, second) - plane.offset, normal, a[0] + lower * (a[1] - a[0])


def _box(a: Segment, box: Box) -> Near:
    R, half = casadi.SX(casadi.DM(box.rotation)), box.half
    start, end = (R.T @ (point - box.centre) for point in a)
    along = end - start
    t = _unit(-casadi.dot(start, along) / (casadi.dot(along, along) + NO_WAY))  # nearest to the middle of the box
    for _ in range(BOX_STEPS):
        p = start + t * along
        outside = casadi.fabs(p) > half
        slope = casadi.dot(_beyond(p, half), along)
        curvature = casadi.dot(outside * along, along)
        t = _unit(t - slope / (curvature + NO_WAY))
    p = start + t * along
    way = _beyond(p, half)
    squared = casadi.dot(way, way)
    d, depth = casadi.sqrt(squared + NO_WAY), casadi.fabs(p) - half
    deepest = casadi.mmax(depth)
    inside = deepest < 0.0
    out = casadi.if_else(inside, casadi.sign(p) * (depth == deepest), way / d)
    return casadi.if_else(inside, deepest, d), R @ out, R @ p + box.centre


def _beyond(p: casadi.SX, half: Array) -> casadi.SX:
    """Return how far p (3,) is outside of a box, in each direction of its frame."""
    return casadi.fmax(p - half, 0.0) + casadi.fmin(p + half, 0.0)
