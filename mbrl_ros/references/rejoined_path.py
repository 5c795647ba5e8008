r"""A trajectory that goes on along its path from where the arm is, after something kept the arm from following it.

M(s), 0 <= s <= S, is the motion through the points of the trajectory, and p the time on it at which the reference is.
The arm is at q, with the velocity qd. With the weights W = diag(1 / v_j^2) of the speed limits v (n,) it has come to

    s_0 = the local minimum of |q - M(s)|_W that is downhill from p,      within [p - BACK, p + FORTH],
    r_0 = clip(M'(s_0)^T W qd / M'(s_0)^T W M'(s_0), 0, 1),

no earlier than where it was found before: from a minimum nearer to the reference no part of a path that crosses itself
is passed twice. From then on, t seconds later, the reference is

    y(t) = M(s(t)) + e(t),      ds/dt = r_0 + (1 - r_0) (3 x^2 - 2 x^3),      x = min(t / T, 1),

where the quintic e leads from q - M(s_0), with the velocity qd - r_0 M'(s_0), to rest at zero in T seconds. So ds/dt is
never above 1, and y joins the path instead of catching up with its time. T is the longest of

    3 max_j |M'_j| / a_j,      ds/dt, half of the acceleration limits a (n,): |M'| over PATH_AHEAD seconds
    7.5 max_j |e_j(0)| / v_j, sqrt(11.6 max_j |e_j(0)| / a_j), 8 max_j |de_j/dt(0)| / a_j,         e, a quarter of v.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array
from .segments import Piecewise

BACK, FORTH = 0.5, 0.1  # [s] on the path within which the arm is looked for
PATH_GRID, NEAREST_STEPS = 0.01, 4  # [s] between two samples of the path; Gauss-Newton steps from the best one
PATH_AHEAD = 1.0  # [s] of the path, whose largest speed counts
SHORTEST_JOIN = 0.1  # [s] of T
PATH_RESTS = 1e-12  # |M'|^2_W [1/s^2] below which the path rests


class RejoinedPath:
    """`motion` from `begin` [s] on it with the rate `rate` of its time on, and the offset e; a `Trajectory`.

    Parameters
    ----------
    motion
        M, through the points.
    begin, rate
        s_0 [s] and r_0.
    offset, drift
        (n,) e and its derivative at the beginning.
    lasts
        T [s].
    """

    def __init__(self, motion: Piecewise, begin: float, rate: float, offset: Array, drift: Array, lasts: float):
        self.motion, self.begin, self._rate, self._lasts = motion, begin, rate, lasts
        e, v, none = offset, lasts * drift, np.zeros_like(offset)
        quintic = (e, v, none, -10.0 * e - 6.0 * v, 15.0 * e + 8.0 * v, -6.0 * e - 3.0 * v)  # in t / T
        self._offset = Piecewise(np.array([[c / lasts**k for k, c in enumerate(quintic)]]), np.array([lasts]))
        left = motion.duration - self.path_time(lasts)
        self.duration = lasts + max(left, 0.0)  # while e remains, the end of the path is no rest

    def path_time(self, time: float) -> float:
        """Return s [s] at `time` [s]."""
        return float(self._progress(np.full(1, time), 0)[0])

    def on_path(self, time: float) -> tuple[Array, Array, Array]:
        """Return M(s(t)) (n,) at `time` [s] with its first and second derivatives."""
        position, velocity, acceleration = (self._on_path(np.full(1, time), order)[0] for order in range(3))
        return position, velocity, acceleration

    def at_time(self, time: float) -> tuple[Array, Array, Array]:
        """See `Trajectory`."""
        position, velocity, acceleration = (self.at_times(np.full(1, time), order)[0] for order in range(3))
        return position, velocity, acceleration

    def at_times(self, times: Array, order: int = 0) -> Array:
        """Return y or a derivative up to the second (T, n) at `times` (T,) [s]."""
        return self._on_path(times, order) + self._offset.at_times(times, order)

    def _on_path(self, times: Array, order: int) -> Array:
        s, rate = self._progress(times, 0), self._progress(times, 1)[:, None]
        over = (s >= self.motion.duration)[:, None]
        if order == 0:
            return self.motion.at_times(s)
        velocity = np.where(over, 0.0, self.motion.at_times(s, 1))
        if order == 1:
            return np.asarray(velocity * rate)
        bend = np.where(over, 0.0, self.motion.at_times(s, 2))
        return np.asarray(bend * rate**2 + velocity * self._progress(times, 2)[:, None])

    def _progress(self, times: Array, order: int) -> Array:
        """Return s, or a derivative up to the second (T,), at `times` (T,) [s]."""
        T, r = self._lasts, self._rate
        x = np.clip(times / T, 0.0, 1.0)
        if order == 0:
            later = np.maximum(times - T, 0.0)
            return np.asarray(self.begin + T * (r * x + (1.0 - r) * x**3 * (1.0 - 0.5 * x)) + later)
        if order == 1:
            return np.asarray(r + (1.0 - r) * x**2 * (3.0 - 2.0 * x))
        return np.asarray((1.0 - r) * 6.0 * x * (1.0 - x) / T)


def rejoined(
    path: Piecewise | RejoinedPath, time: float, q: Array, qd: Array, velocity: Array, acceleration: Array
) -> RejoinedPath:
    """Return the rest of a trajectory from where the arm is.

    Parameters
    ----------
    path
        What the reference moves along.
    time
        Since its beginning [s].
    q, qd
        (n,) position and velocity to begin with.
    velocity, acceleration
        Limits (n,).
    """
    if isinstance(path, RejoinedPath):
        motion, earliest, reached = path.motion, path.begin, path.path_time(time)
    else:
        motion, earliest, reached = path, 0.0, time
    weights = 1.0 / velocity**2
    begin = _nearest(motion, min(reached, motion.duration), earliest, q, weights)
    slope = motion.at_times(np.full(1, begin), 1)[0]
    steep = float(slope @ (weights * slope))
    rate = min(max(float(slope @ (weights * qd)) / steep, 0.0), 1.0) if steep > PATH_RESTS else 0.0
    offset, drift = q - motion.at_times(np.full(1, begin))[0], qd - rate * slope
    ahead = begin + np.arange(0.0, PATH_AHEAD, 2.0 * PATH_GRID)
    fastest = np.abs(motion.at_times(ahead, 1)).max(axis=0)
    away = np.abs(offset)
    lasts = max(
        SHORTEST_JOIN,
        3.0 * float((fastest / acceleration).max()),
        7.5 * float((away / velocity).max()),
        math.sqrt(11.6 * float((away / acceleration).max())),
        8.0 * float((np.abs(drift) / acceleration).max()),
    )
    return RejoinedPath(motion, begin, rate, offset, drift, lasts)


def _nearest(motion: Piecewise, reached: float, earliest: float, q: Array, weights: Array) -> float:
    """Return the time s_0 [s] on the path that is nearest to q (n,), downhill from `reached` [s]."""
    low, high = min(max(reached - BACK, earliest), reached), min(reached + FORTH, motion.duration)
    later = np.linspace(reached, high, 1 + math.ceil((high - reached) / PATH_GRID))
    times = np.concatenate((np.linspace(low, reached, 1 + math.ceil((reached - low) / PATH_GRID))[:-1], later))
    squares = np.square(motion.at_times(times) - q) @ weights
    k = len(times) - len(later)
    step = -1 if k > 0 and squares[k - 1] < squares[k] else 1
    while 0 <= k + step < len(times) and squares[k + step] < squares[k]:
        k += step
    s, low, high = float(times[k]), float(times[max(k - 1, 0)]), float(times[min(k + 1, len(times) - 1)])
    for _ in range(NEAREST_STEPS):
        away, slope = q - motion.at_times(np.full(1, s))[0], motion.at_times(np.full(1, s), 1)[0]
        steep = float(slope @ (weights * slope))
        if steep <= PATH_RESTS:
            break
        s = min(max(s + float(slope @ (weights * away)) / steep, low), high)
    return s
