r"""Rotations: quaternions, matrices R (3, 3), and the logarithm e (3,) [rad] with R = exp([e]).

The inverse of the left Jacobian of SO(3), with theta = |e|,

    J_l^-1(e) = E - [e] / 2 + (1 - theta / 2 cot(theta / 2)) / theta^2 [e]^2,

tells how the logarithm changes: log(exp([w]) exp([e])) = e + J_l^-1(e) w + O(w^2). It is finite up to theta = pi
(theta / 2 cot(theta / 2) -> 0) and singular at 2 pi only. Source: Sola, Deray, Atchuthan, "A micro Lie theory for state
estimation in robotics", 2018, equations 143 to 146.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array

SMALL_ANGLE = 1e-4  # [rad]: below it the second term of the series is less than rounding


def matrix_of(quaternion: Array) -> Array:
    """Return R (3, 3) of the unit quaternion (x, y, z, w)."""
    x, y, z, w = np.asarray(quaternion, dtype=float).tolist()
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def quaternion_of(R: Array) -> Array:
    """Return the unit quaternion (x, y, z, w), w >= 0, of R (3, 3): of the four forms the best-conditioned one."""
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    squares = 1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i, 1.0 + a + e + i  # 4 x^2, ...
    k = squares.index(max(squares))
    q = np.array(
        (
            (squares[0], b + d, c + g, h - f),
            (b + d, squares[1], f + h, c - g),
            (c + g, f + h, squares[2], d - b),
            (h - f, c - g, d - b, squares[3]),
        )[k]
    )
    q /= math.sqrt(float(q @ q))
    return np.asarray(-q if q[3] < 0.0 else q)


def logarithm(R: Array) -> Array:
    """Return e (3,) [rad], |e| <= pi, with R = exp([e]) for R (3, 3)."""
    q = quaternion_of(R)
    sine = math.sqrt(float(q[:3] @ q[:3]))
    if sine < SMALL_ANGLE:
        return np.asarray(2.0 * q[:3])
    return np.asarray(2.0 * math.atan2(sine, float(q[3])) / sine * q[:3])


def exponential(e: Array) -> Array:
    """Return R = exp([e]) (3, 3) of e (3,) [rad] (Rodrigues)."""
    angle = math.sqrt(float(e @ e))
    half = 0.5 * angle
    scale = 0.5 if angle < SMALL_ANGLE else math.sin(half) / angle
    return matrix_of(np.append(scale * e, math.cos(half)))


def inverse_left_jacobian(e: Array) -> Array:
    """Return J_l^-1(e) (3, 3) at e (3,) [rad], |e| <= pi."""
    theta = math.sqrt(float(e @ e))
    half = 0.5 * theta
    factor = 1.0 / 12.0 if theta < SMALL_ANGLE else (1.0 - half * math.cos(half) / math.sin(half)) / theta**2
    x, y, z = e.tolist()
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) - 0.5 * cross + factor * (cross @ cross))
