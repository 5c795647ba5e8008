r"""Piecewise polynomials through the points of a joint trajectory, as joint_trajectory_controller understands them.

Between two points (t_0, q_0, v_0, a_0) and (t_1, q_1, v_1, a_1), with T = t_1 - t_0, D = q_1 - q_0 and s = t - t_0, by
what both of them carry:

    linear (positions)        q(s) = q_0 + D s/T
    cubic (and velocities)    q(s) = q_0 + v_0 s + (3 D/T - 2 v_0 - v_1) s^2/T + (v_0 + v_1 - 2 D/T) s^3/T^2
    quintic (accelerations)   q(s) = q_0 + v_0 s + a_0 s^2/2 + c_3 s^3 + c_4 s^4 + c_5 s^5
        c_3 = [ 20 D - (12 v_0 +  8 v_1) T - (3 a_0 -   a_1) T^2] / (2 T^3)
        c_4 = [-30 D + (16 v_0 + 14 v_1) T + (3 a_0 - 2 a_1) T^2] / (2 T^4)
        c_5 = [ 12 D -  6 (v_0 +    v_1) T + (  a_1 -   a_0) T^2] / (2 T^5)

Where the velocity steps by dv at t_k (next to a linear segment) the step is blended over |t - t_k| <= h: adding
dv (h - |t - t_k|)^2 / (4 h) makes the velocity continuous, costs the constant acceleration dv / (2 h), and moves the
point by dv h/4, which is the largest deviation.

A polynomial is largest at an end or at a root of its derivative. Up to degree 2 roots have a formula; beyond that they
lie between those of the next derivative, where the polynomial is monotone, and are found by bisection. Its Bernstein
coefficients bound a polynomial, which tells of most that they need not be searched.

Source: ros2_controllers, joint_trajectory_controller, "Trajectory Representation"; parabolic blends: Craig,
Introduction to Robotics, ch. 7.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval
from numpy.typing import ArrayLike, NDArray

from ..types import Array, checked

Flags = NDArray[np.bool_]
CLOSEST_POINTS = 1e-4  # between the times of two points [s]
BISECTIONS = 26  # of a root in [0, 1]; at an extremum its error enters squared
DEGREE = 5  # of a quintic segment
TIE = 1e-12  # a hull that allows so little more than was found, as a share of it, allows nothing more
SHORTEST_PIECE = 1e-9  # a piece shorter than this share of the whole is left out


@dataclass(frozen=True, eq=False, slots=True)
class Waypoints:
    """The points of a joint trajectory.

    times (T,) [s] after its stamp, rising; Q (T, n) positions; V, A (T, n) velocities and accelerations, a row of NaN
    where a point carries none.
    """

    times: Array
    Q: Array
    V: Array
    A: Array

    @classmethod
    def of(cls, times: ArrayLike, Q: ArrayLike, V: ArrayLike | None = None, A: ArrayLike | None = None) -> Waypoints:
        """Return the points with equal lengths; ShapeError if they do not fit together."""
        Q = checked("positions of a trajectory target", Q, (None, None))
        none = np.full(Q.shape, np.nan)
        return cls(
            checked("times of a trajectory target", times, (len(Q),)),
            Q,
            none if V is None else checked("velocities of a trajectory target", V, Q.shape),
            none if A is None else checked("accelerations of a trajectory target", A, Q.shape),
        )

    def after(self, elapsed: float) -> Waypoints:
        """Return the points that come CLOSEST_POINTS after `elapsed` [s] or later, with times counted from then on."""
        left = self.times >= elapsed + CLOSEST_POINTS
        return Waypoints(self.times[left] - elapsed, self.Q[left], self.V[left], self.A[left])

    def moved(self, offset: Array) -> Waypoints:
        """Return the points with all positions moved by `offset` (n,)."""
        return dataclasses.replace(self, Q=self.Q + offset)


def polynomials(points: Waypoints) -> tuple[Array, Flags]:
    """Return the coefficients C (S, 6, n) of the S = T - 1 segments in s^0 ... s^5, and which are linear (S,)."""
    T, D = np.diff(points.times)[:, None], np.diff(points.Q, axis=0)
    v0, v1, a0, a1 = points.V[:-1], points.V[1:], points.A[:-1], points.A[1:]
    cubic = np.isfinite(v0).all(axis=1) & np.isfinite(v1).all(axis=1)
    quintic = cubic & np.isfinite(a0).all(axis=1) & np.isfinite(a1).all(axis=1)
    C = np.zeros((len(D), DEGREE + 1, D.shape[1]))
    C[:, 0], C[:, 1] = points.Q[:-1], D / T
    C[cubic, 1] = v0[cubic]
    C[cubic, 2] = ((3.0 * D / T - 2.0 * v0 - v1) / T)[cubic]
    C[cubic, 3] = ((v0 + v1 - 2.0 * D / T) / T**2)[cubic]
    C[quintic, 2] = 0.5 * a0[quintic]
    C[quintic, 3] = ((20.0 * D - (12.0 * v0 + 8.0 * v1) * T - (3.0 * a0 - a1) * T**2) / (2.0 * T**3))[quintic]
    C[quintic, 4] = ((-30.0 * D + (16.0 * v0 + 14.0 * v1) * T + (3.0 * a0 - 2.0 * a1) * T**2) / (2.0 * T**4))[quintic]
    C[quintic, 5] = ((12.0 * D - 6.0 * (v0 + v1) * T + (a1 - a0) * T**2) / (2.0 * T**5))[quintic]
    linear: Flags = np.logical_not(cubic)
    return C, linear


def derivative(C: Array, order: int = 1) -> Array:
    """Return the coefficients (P, d + 1 - order, n) of a derivative of C (P, d + 1, n)."""
    coefficients: Array = np.asarray(polyder(C, order, axis=1), dtype=np.float64)
    return coefficients


def horner(C: Array, s: Array) -> Array:
    """Return the values (..., P, n) of polynomials C (P, d + 1, n) at s, of any shape that fits (P, n)."""
    values: Array = np.asarray(polyval(s, np.moveaxis(C, 1, 0), tensor=False), dtype=np.float64)
    return values


def extrema(C: Array, lengths: Array) -> tuple[Array, Array]:
    """Return the least and the largest value (P, n) of polynomials C (P, d + 1, n) over [0, lengths (P,)]."""
    scaled = C * lengths[:, None, None] ** np.arange(C.shape[1])[:, None]
    ends = np.stack((np.zeros(C[:, 0].shape), np.ones(C[:, 0].shape)))
    values = horner(scaled, np.concatenate((ends, _roots(derivative(scaled)))))
    return values.min(axis=0), values.max(axis=0)


def hull(C: Array, lengths: Array) -> tuple[Array, Array]:
    """Return bounds (P, n), below and above, of polynomials C (P, d + 1, n) over [0, lengths (P,)].

    They are the least and the largest Bernstein coefficient, and are attained at the ends or not at all.
    """
    degree = C.shape[1] - 1
    scaled = C * lengths[:, None, None] ** np.arange(degree + 1)[:, None]
    coefficients = _bernstein(degree) @ scaled
    return coefficients.min(axis=1), coefficients.max(axis=1)


def largest(C: Array, lengths: Array, limit: Array) -> float:
    """Return max |p| / limit (n,) of all polynomials C (P, d + 1, n) over [0, lengths (P,)].

    Only those whose hull exceeds what is found at their ends are searched.
    """
    ends = np.maximum(np.abs(C[:, 0]), np.abs(horner(C, lengths[:, None]))) / limit
    least, most = hull(C, lengths)
    found = float(ends.max())
    rest = np.flatnonzero((np.maximum(-least, most) / limit).max(axis=1) > found * (1.0 + TIE))
    if rest.size == 0:
        return found
    low, high = extrema(C[rest], lengths[rest])
    return max(found, float((np.maximum(-low, high) / limit).max()))


@functools.cache
def _bernstein(degree: int) -> Array:
    """Return the matrix (degree + 1, degree + 1) from coefficients of s^k, s in [0, 1], to Bernstein coefficients."""
    return np.array([[math.comb(i, k) / math.comb(degree, k) for k in range(degree + 1)] for i in range(degree + 1)])


def _roots(B: Array) -> Array:
    """Return numbers (R, P, n) in [0, 1] among which are all sign changes of B (P, d + 1, n)."""
    used = np.flatnonzero(B.any(axis=(0, 2)))
    degree = int(used[-1]) if used.size else 0
    if degree == 0:
        return np.zeros((0, len(B), B.shape[2]))
    B = B[:, : degree + 1]
    if degree <= 2:
        return _quadratic_roots(B)
    shape = (1, len(B), B.shape[2])
    inner = np.sort(_roots(derivative(B)), axis=0)
    low, high = np.concatenate((np.zeros(shape), inner)), np.concatenate((inner, np.ones(shape)))
    negative = horner(B, low) < 0.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        same = (horner(B, middle) < 0.0) == negative
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return 0.5 * (low + high)


def _quadratic_roots(B: Array) -> Array:
    """Return the real roots (2, P, n) of B (P, 2 or 3, n), moved into [0, 1]; without any, some numbers there."""
    c, b, a = B[:, 0], B[:, 1], B[:, 2] if B.shape[1] == 3 else np.zeros_like(B[:, 0])
    half = -0.5 * (b + np.copysign(np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0)), b))
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack((half / a, c / half))
    return np.clip(np.nan_to_num(roots), 0.0, 1.0)


class Piecewise:
    """P polynomials C (P, 6, n), one after the other, from time 0 on; a `Trajectory`."""

    def __init__(self, C: Array, lengths: Array):
        self.C, self.lengths = C, lengths
        self.begins = np.concatenate(([0.0], np.cumsum(lengths)[:-1]))
        self.duration = float(lengths.sum())
        self._derivatives = (C, derivative(C), derivative(C, 2))

    def at_time(self, time: float) -> tuple[Array, Array, Array]:
        """See `Trajectory`."""
        position, velocity, acceleration = (self.at_times(np.full(1, time), order)[0] for order in range(3))
        return position, velocity, acceleration

    def at_times(self, times: Array, order: int = 0) -> Array:
        """Return the position or a derivative up to the second (..., n) at `times` (...), held before 0 and after."""
        k = np.maximum(np.searchsorted(self.begins, times, side="right") - 1, 0)
        s = np.clip(times - self.begins[k], 0.0, self.lengths[k])
        return horner(self._derivatives[order][k], s[..., None])

    def extrema(self) -> tuple[Array, Array]:
        """Return the least and the largest position (P, n) of every piece."""
        return extrema(self.C, self.lengths)

    def demand(self, velocity: Array, acceleration: Array) -> float:
        """Return by which factor time must be stretched for the limits (n,) to hold at every instant."""
        fast = largest(self._derivatives[1], self.lengths, velocity)
        hard = largest(self._derivatives[2], self.lengths, acceleration)
        return max(fast, math.sqrt(hard))


def blended(C: Array, lengths: Array, widest: Array, acceleration: Array) -> tuple[Piecewise, Array]:
    """Return the pieces with continuous velocity, and by how much each joint between them was moved (P - 1, n).

    Parameters
    ----------
    C, lengths
        Coefficients (P, 6, n) and durations (P,) [s].
    widest
        Largest half width h (P - 1,) [s] of each blend.
    acceleration
        Limits (n,), of which the neighbouring pieces use their part.
    """
    ends = horner(derivative(C), lengths[:, None])
    step = C[1:, 1] - ends[:-1]
    step[np.abs(step) < 1e-12 * (1.0 + np.abs(ends[:-1]))] = 0.0
    least, most = hull(derivative(C, 2), lengths)
    used = np.maximum(-least, most)
    free = np.maximum(acceleration - np.maximum(used[:-1], used[1:]), 0.1 * acceleration)
    half = np.minimum((np.abs(step) / (2.0 * free)).max(axis=1), widest)
    left, right = np.concatenate(([0.0], half)), np.concatenate((half, [0.0]))  # in every piece
    starts = np.stack((np.zeros(len(C)), left, lengths - right), axis=1)
    cut = np.stack((left, lengths - left - right, right), axis=1)
    parts = np.repeat(C[:, None], 3, axis=1)  # (P, 3, 6, n), moved to their starts
    for k in range(DEGREE):
        for j in reversed(range(k, DEGREE)):
            parts[:, :, j] += starts[:, :, None] * parts[:, :, j + 1]
    safe = np.where(half > 0.0, half, 1.0)[:, None]
    parts[1:, 0, 0] += step * half[:, None] / 4.0
    parts[1:, 0, 1] -= step / 2.0
    parts[1:, 0, 2] += step / (4.0 * safe)
    parts[:-1, 2, 2] += step / (4.0 * safe)
    keep = cut > SHORTEST_PIECE * lengths.sum()
    return Piecewise(parts[keep], cut[keep]), np.abs(step) * half[:, None] / 4.0
