r"""Exact signed distances of segments from segments, planes and boxes, many at once, with what their derivatives need.

Each function returns the distance d, a unit vector n from the other body to the segment and the point p of the segment
that is nearest, so that dd = n . dp for every motion of the segment (envelope theorem: to first order the nearest
points stay where they are). A capsule's distance is less by its radius, that of two by both.

    segment, segment    min_{s, t in [0, 1]} |a(s) - b(t)|                                        (Ericson 2004, 5.1.9)
    segment, plane      min over its ends of n . p - offset
    segment, box        outside: sqrt(min_t f(t)), f(t) = sum_i max(|a_i(t)| - h_i, 0)^2 in the box's frame, h its half
                        edges. f' is continuous, piecewise linear and does not fall, its kinks are where |a_i(t)| = h_i,
                        and so its zero is found between two kinks.
                        inside: minus the shortest way out, which is along a face's normal or across an edge and the
                        segment (separating axes).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Array

NO_LENGTH = 1e-12


class Nearest(NamedTuple):
    """Signed distances d (N,) [m], unit vectors n (N, 3) away from the other body, nearest points p (N, 3) [m]."""

    d: Array
    n: Array
    p: Array


def segment_segment(a: Array, b: Array) -> Nearest:
    """Return the distances of the segments a (N, 2, 3) from b (N, 2, 3) [m]; p is on a, n points to it.

    Where two segments cross, n is across both.
    """
    u, v, w = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0], a[:, 0] - b[:, 0]
    uu, uv, vv, uw, vw = (np.einsum("ij,ij->i", x, y) for x, y in ((u, u), (u, v), (v, v), (u, w), (v, w)))
    uu, vv = np.maximum(uu, NO_LENGTH), np.maximum(vv, NO_LENGTH)
    denominator = uu * vv - uv * uv
    parallel = denominator <= 1e-9 * uu * vv
    s = np.where(parallel, 0.0, (uv * vw - uw * vv) / np.where(parallel, 1.0, denominator))
    s = np.minimum(np.maximum(s, 0.0), 1.0)
    t = np.minimum(np.maximum((uv * s + vw) / vv, 0.0), 1.0)
    s = np.minimum(np.maximum((uv * t - uw) / uu, 0.0), 1.0)
    p = a[:, 0] + s[:, None] * u
    way = p - b[:, 0] - t[:, None] * v
    d = np.sqrt(np.einsum("ij,ij->i", way, way))
    crossing = d < 1e-9
    n = way / np.where(crossing, 1.0, d)[:, None]
    if crossing.any():
        n[crossing] = _across(u[crossing], v[crossing])
    return Nearest(d, n, p)


def segment_plane(a: Array, normal: Array, offset: Array) -> Nearest:
    """Return how far the segments a (N, 2, 3) are above the planes normal . p = offset, (N, 3) and (N,)."""
    heights = np.einsum("ikj,ij->ik", a, normal)
    lower = (heights[:, 1] < heights[:, 0]).astype(np.intp)
    rows = np.arange(len(a))
    return Nearest(heights[rows, lower] - offset, normal, a[rows, lower])


def segment_box(a: Array, half: Array) -> Nearest:
    """Return how far the segments a (N, 2, 3) are from boxes about the origin with the half edges (N, 3)."""
    start, along = a[:, 0], a[:, 1] - a[:, 0]
    t = _nearest_to_box(start, along, half)
    p = start + t[:, None] * along
    way = np.sign(p) * np.maximum(np.abs(p) - half, 0.0)
    d = np.sqrt(np.einsum("ij,ij->i", way, way))
    inside = d < 1e-9
    found = Nearest(d, way / np.where(inside, 1.0, d)[:, None], p)
    if inside.any():
        deep = _way_out(start[inside], along[inside], half[inside])
        for whole, part in zip(found, deep, strict=True):
            whole[inside] = part
    return found


def _nearest_to_box(start: Array, along: Array, half: Array) -> Array:
    """Return t (N,) in [0, 1] of the point of each segment that is nearest to its box."""
    moving = np.abs(along) > NO_LENGTH
    rate = np.where(moving, along, 1.0)
    kinks = np.concatenate([(side * half - start) / rate for side in (-1.0, 1.0)], axis=1)
    kinks = np.where(np.tile(moving, 2), np.minimum(np.maximum(kinks, 0.0), 1.0), 0.0)
    kinks = np.concatenate((kinks, np.zeros((len(start), 1)), np.ones((len(start), 1))), axis=1)  # (N, 8)
    p = start[:, None] + kinks[:, :, None] * along[:, None]
    beyond = np.sign(p) * np.maximum(np.abs(p) - half[:, None], 0.0)
    slope = np.einsum("ikj,ij->ik", beyond, along)  # f' / 2
    falls, rises = slope < 0.0, slope >= 0.0
    low = np.where(falls, kinks, -1.0)
    high = np.where(rises, kinks, 2.0)
    rows, i, k = np.arange(len(start)), low.argmax(axis=1), high.argmin(axis=1)
    t0, t1, s0, s1 = low[rows, i], high[rows, k], slope[rows, i], slope[rows, k]
    between = t0 + (t1 - t0) * -s0 / np.where(s1 > s0, s1 - s0, 1.0)
    return np.where(t0 < 0.0, 0.0, np.where(t1 > 1.0, 1.0, between))


def _way_out(start: Array, along: Array, half: Array) -> Nearest:
    """Return the shortest ways out of boxes for segments that reach into them: d (M,) <= 0, n (M, 3), p (M, 3)."""
    ends = np.stack((start, start + along), axis=1)
    best = Nearest(np.full(len(start), -np.inf), np.zeros((len(start), 3)), np.array(start))
    for i in range(3):
        for side in (-1.0, 1.0):
            normal = np.zeros((len(start), 3))
            normal[:, i] = side
            _deepen(best, segment_plane(ends, normal, half[:, i]))
        axis = np.zeros((len(start), 3))
        axis[:, i] = 1.0
        across = np.cross(axis, along)
        length = np.linalg.norm(across, axis=1)
        usable = length > 1e-6 * np.maximum(np.linalg.norm(along, axis=1), NO_LENGTH)
        across = across / np.where(usable, length, 1.0)[:, None]
        for side in (-1.0, 1.0):
            n = side * across
            corner = np.sign(n) * half  # on the edge along axis i that reaches furthest along n
            d = np.einsum("ij,ij->i", n, start - corner)
            gap, flat = start - corner, along - axis * along[:, i : i + 1]
            gap = gap - axis * gap[:, i : i + 1]
            squared = np.maximum(np.einsum("ij,ij->i", flat, flat), NO_LENGTH)
            t = np.minimum(np.maximum(-np.einsum("ij,ij->i", gap, flat) / squared, 0.0), 1.0)
            _deepen(best, Nearest(np.where(usable, d, -np.inf), n, start + t[:, None] * along))
    return best


def _deepen(best: Nearest, other: Nearest) -> None:
    """Take over `other` where its distance is larger."""
    better = other.d > best.d + NO_LENGTH
    for whole, part in zip(best, other, strict=True):
        whole[better] = part[better]


def _across(u: Array, v: Array) -> Array:
    """Return unit vectors (M, 3) across u (M, 3) and v (M, 3), or across u alone where these are parallel."""
    n = np.cross(u, v)
    parallel = np.linalg.norm(n, axis=1) < 1e-9
    n[parallel] = np.cross(u[parallel], np.eye(3)[np.argmin(np.abs(u[parallel]), axis=1)])
    length = np.linalg.norm(n, axis=1)
    n[length < 1e-12] = (0.0, 0.0, 1.0)
    return np.asarray(n / np.maximum(np.linalg.norm(n, axis=1), 1e-12)[:, None])
