r"""The smallest capsule along an axis that covers spheres, of which points are those without a size.

A capsule is the set of points no further than r from the segment a b. Let z_i be the height of sphere i along the axis,
rho_i the distance of its centre from it, and h_i^2 = (r - r_i)^2 - rho_i^2. With a radius r >= max (rho_i + r_i) the
segment must reach up to max_i (z_i - h_i) and down to min_i (z_i + h_i); where these cross, it is a point and the
capsule a sphere. Of RADII radii the one of the smallest volume is taken, and of the axes that are tried the best one.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array

RADII = 64
CENTRE_STEPS = 200  # of the search for the centre of the smallest circle (Badoiu and Clarkson, 2003)
RIM_POINTS = 64  # points that stand for a circle
COVER_SLACK = 1e-9  # of the radius, for rounding


def capsule_over(points: Array, sizes: Array, axes: Array) -> tuple[Array, Array, float]:
    """Return the smallest capsule over spheres along one of some axes: a (3,), b (3,) [m] and r [m].

    Parameters
    ----------
    points, sizes
        (N, 3) [m] and (N,) [m], centres and radii of the spheres.
    axes
        (m, 3) directions.
    """
    found = [_along(points, sizes, axis / np.linalg.norm(axis)) for axis in axes]
    a, b, r = min(found, key=lambda capsule: _volume(float(np.linalg.norm(capsule[1] - capsule[0])), capsule[2]))
    r = float((_from_segment(points, a, b) + sizes).max())
    return a, b, r * (1.0 + COVER_SLACK)


def principal_axes(points: Array) -> Array:
    """Return the principal axes (3, 3) of `points` (N, 3), one in each row, its largest entry above 0."""
    if len(points) < 2:
        return np.eye(3)
    axes = np.linalg.svd(np.cov((points - points.mean(axis=0)).T))[2]
    largest = axes[np.arange(3), np.abs(axes).argmax(axis=1)]
    return np.asarray(axes * np.sign(largest)[:, None])


def box_corners(size: Array) -> Array:
    """Return the corners (8, 3) of a box with the edges `size` (3,) about the origin."""
    signs = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T
    return np.asarray(signs * size)


def cylinder_rims(radius: float, length: float) -> Array:
    """Return points (2 RIM_POINTS, 3) on the rims of a cylinder along z about the origin.

    A capsule along z covers the cylinder if it covers them; any other one up to radius (1 - cos(pi / RIM_POINTS)).
    """
    angle = 2.0 * math.pi * np.arange(RIM_POINTS) / RIM_POINTS
    rim = radius * np.stack((np.cos(angle), np.sin(angle)), axis=1)
    return np.concatenate([np.column_stack((rim, np.full(RIM_POINTS, z))) for z in (-0.5 * length, 0.5 * length)])


def _along(points: Array, sizes: Array, axis: Array) -> tuple[Array, Array, float]:
    """Return the smallest capsule over spheres along the unit vector `axis` (3,)."""
    other = np.eye(3)[np.argmin(np.abs(axis))]
    u = np.cross(axis, other) / np.linalg.norm(np.cross(axis, other))
    across = np.stack((u, np.cross(axis, u)), axis=1)
    flat, z = points @ across, points @ axis
    centre = _centre(flat)
    rho = np.linalg.norm(flat - centre, axis=1)
    most = max(float((rho + sizes).max()), 1e-6)
    best = (math.inf, 0.0, 0.0, 0.0)
    for r in np.linspace(most, most + 0.5 * float(np.ptp(z)), RADII):
        reach = np.sqrt(np.maximum((r - sizes) ** 2 - rho * rho, 0.0))
        top, bottom = float((z - reach).max()), float((z + reach).min())
        if top < bottom:
            top = bottom = 0.5 * (top + bottom)
        best = min(best, (_volume(top - bottom, r), float(r), bottom, top))
    foot = across @ centre
    return foot + best[2] * axis, foot + best[3] * axis, best[1]


def _centre(flat: Array) -> Array:
    """Return nearly the centre (2,) of the smallest circle around the points `flat` (N, 2)."""
    centre = 0.5 * (flat.max(axis=0) + flat.min(axis=0))
    for step in range(1, CENTRE_STEPS):
        furthest = flat[np.argmax(((flat - centre) ** 2).sum(axis=1))]
        centre = centre + (furthest - centre) / (step + 2.0) ** 1.5
    return np.asarray(centre)


def _volume(length: float, r: float) -> float:
    return math.pi * r * r * (length + 4.0 / 3.0 * r)


def _from_segment(points: Array, a: Array, b: Array) -> Array:
    """Return the distances (N,) of `points` (N, 3) from the segment a b."""
    along = b - a
    t = np.clip((points - a) @ along / max(float(along @ along), 1e-300), 0.0, 1.0)
    return np.asarray(np.linalg.norm(points - a - t[:, None] * along, axis=1))
