r"""The motion along a joint trajectory: from where the reference is through its points to rest, within the limits.

The first segment begins with position, velocity and acceleration of the reference. A linear first segment begins with a
ramp: the velocity v_0 is kept for tau/2, then a straight line leads to the first point, and the step between the two is
blended over tau (see segments.py). A linear last segment ends with the same ramp to rest. With D = q_1 - q_0 - v_0 T
over the duration T, a ramp takes

    tau = T - sqrt(T^2 - 2 max_j |D_j| / a_j),        at most 2 T/3; at both ends of one segment at most T/2.

Where velocity or acceleration would leave the limits, all times are stretched by one factor c >= 1: times c t_k,
velocities v_k / c, accelerations a_k / c^2. The velocity at the beginning is what it is, so c is found by iteration.
Where only the way to the first point is too short for its time, as with dense points and a reference that is a little
beside them or moves, all points come later by what that way needs, if the motion ends sooner so than with c alone.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..exceptions import TargetError
from ..robots import Robot
from ..types import Array
from .segments import Flags, Piecewise, Waypoints, blended, extrema, hull, polynomials

STRETCHINGS = 60  # attempts to find the factor
TIME_ROUNDING = 1e-9  # by which a limit may be exceeded, as a share of it, or a position [rad or m]
JOIN_GROWTH = 1.1  # of the time of the way to the first point, per attempt
JOIN_ATTEMPTS = 50
MotionState = tuple[Array, Array, Array]  # position, velocity and acceleration (n,)


class TrackingMotion(Piecewise):
    """A motion through points to rest.

    slowdown: the factor c by which it takes longer than asked; deviation (n,): by how much the blends pass by the
    points; delay [s]: by how much the way to the first point was lengthened for itself.
    """

    def __init__(self, C: Array, lengths: Array, *, slowdown: float, deviation: Array, delay: float = 0.0):
        super().__init__(C, lengths)
        self.slowdown, self.deviation, self.delay = slowdown, deviation, delay

    def describe(self) -> str:
        """Return in words where it is not what was asked for; empty if it is."""
        found = []
        if self.slowdown > 1.0 + 1e-6:
            found.append(f"slowed down {self.slowdown:.3g} times to keep the velocity and acceleration limits")
        if self.delay > 0.0:
            found.append(f"the way to its first point takes {self.delay:.3g} s longer than asked")
        if self.deviation.max(initial=0.0) > 1e-6:
            found.append(f"blended at its points, which it passes within {self.deviation.max():.2g} rad or m")
        return "; ".join(found)


def motion_through(
    start: MotionState, points: Waypoints, velocity: Array, acceleration: Array, *, late: bool
) -> TrackingMotion:
    """Return the motion from `start` through `points` within the limits (n,).

    Parameters
    ----------
    start
        Position, velocity and acceleration (n,) at time 0.
    points
        With times after 0.
    velocity, acceleration
        Limits (n,).
    late
        Whether points before were left out: the way to the first one may then be too short for its time, and is
        lengthened for itself. Otherwise it is lengthened only where the motion ends sooner for it.

    Raises
    ------
    TargetError
        No factor makes the limits hold, because of the velocity at the beginning.
    """
    asked = None if late else _stretched(start, points, velocity, acceleration, 0.0)
    if asked is not None and asked.slowdown == 1.0:
        return asked
    delay = _delay(start, points, velocity, acceleration)
    lengthened = _stretched(start, points, velocity, acceleration, delay) if late or delay > 0.0 else None
    found = [motion for motion in (asked, lengthened) if motion is not None]
    if not found:
        raise TargetError("a trajectory cannot be joined within the limits from where the reference is")
    return min(found, key=lambda motion: float(motion.lengths.sum()))


def _stretched(
    start: MotionState, points: Waypoints, velocity: Array, acceleration: Array, delay: float
) -> TrackingMotion | None:
    """Return the motion through points that come `delay` [s] later, with the smallest factor; None without one."""
    points, slowdown = dataclasses.replace(points, times=points.times + delay), 1.0
    for _ in range(STRETCHINGS):
        motion = _motion(start, points, slowdown, acceleration, delay)
        factor = motion.demand(velocity, acceleration)
        if factor <= 1.0 + TIME_ROUNDING:
            return motion
        slowdown *= factor
    return None


def check_range(motion: Piecewise, robot: Robot, since: float = 0.0) -> None:
    """Raise TargetError, with joint, value and time, where a position leaves the limits of `robot`.

    The motion begins `since` [s] after its trajectory; it may begin outside the limits, but not go further.
    """
    start = motion.C[0, 0]
    lower, upper = np.minimum(robot.position_lower, start), np.maximum(robot.position_upper, start)
    least, most = hull(motion.C, motion.lengths)
    suspects = np.flatnonzero((np.maximum(lower - least, most - upper) > TIME_ROUNDING).any(axis=1))
    low, high = extrema(motion.C[suspects], motion.lengths[suspects])
    beyond = np.maximum(lower - low, high - upper)
    if beyond.max(initial=-1.0) > TIME_ROUNDING:
        row, joint = np.unravel_index(int(beyond.argmax()), beyond.shape)
        below = lower[joint] - low[row, joint] > TIME_ROUNDING
        piece = suspects[row]
        begin = since + motion.begins[piece]
        raise TargetError(
            f"trajectory: '{robot.joints[joint]}' must lie in [{lower[joint]:.4f}, {upper[joint]:.4f}], but the motion "
            f"between its points takes it to {(low if below else high)[row, joint]:.4f} between {begin:.3f} and "
            f"{begin + motion.lengths[piece]:.3f} s"
        )


def _delay(start: MotionState, points: Waypoints, velocity: Array, acceleration: Array) -> float:
    """Return by how much the way to the first point must take longer [s] for the limits to hold on it."""
    asked, way = float(points.times[0]), np.abs(points.Q[0] - start[0])
    least = max(asked, float((way / velocity).max()), float(np.sqrt((way / acceleration).max())))
    for attempt in range(JOIN_ATTEMPTS):
        time = least * JOIN_GROWTH**attempt
        alone = Waypoints(np.array([time]), points.Q[:1], points.V[:1], points.A[:1])
        if _motion(start, alone, 1.0, acceleration, 0.0).demand(velocity, acceleration) <= 1.0 + TIME_ROUNDING:
            return time - asked  # 0 where the first attempt, at the time that was asked for, is good
    return 0.0


def _motion(
    start: MotionState, points: Waypoints, slowdown: float, acceleration: Array, delay: float
) -> TrackingMotion:
    """Return the motion with all times stretched by `slowdown`; blends and ramps keep the acceleration limit."""
    whole = Waypoints(
        np.concatenate(([0.0], slowdown * points.times)),
        np.vstack((start[0], points.Q)),
        np.vstack((start[1], points.V / slowdown)),
        np.vstack((start[2], points.A / slowdown**2)),
    )
    C, linear = polynomials(whole)
    lengths = np.diff(whole.times)
    count, widest = len(lengths), 0.5 * lengths
    tau = _ramps(whole, linear, acceleration)
    if tau[0] > TIME_ROUNDING * lengths[0]:
        C, lengths = _with_start_ramp(C, lengths, 0.5 * tau[0], start[1])
        widest = np.concatenate((lengths[:1], 0.5 * lengths[1:2], widest[1:]))
    inserted = len(lengths) - count
    if tau[1] > TIME_ROUNDING * lengths[-1]:
        C, lengths = _with_end_ramp(C, lengths, 0.5 * tau[1], whole.Q[-1])
        widest = np.concatenate((widest[:-1], 0.5 * lengths[-2:-1], lengths[-1:]))
    pieces, moved = blended(C, lengths, np.minimum(widest[:-1], widest[1:]), acceleration)
    deviation = moved[inserted : inserted + count - 1].max(axis=0, initial=0.0)
    return TrackingMotion(pieces.C, pieces.lengths, slowdown=slowdown, deviation=deviation, delay=delay)


def _ramps(whole: Waypoints, linear: Flags, acceleration: Array) -> tuple[float, float]:
    """Return the durations tau [s] of the ramps at the start and at the end, 0 where that segment is not linear."""
    T, D, velocity = np.diff(whole.times), np.diff(whole.Q, axis=0), whole.V[0]
    if len(linear) == 1:
        tau = _double_ramp(T[0], D[0], velocity, acceleration) if linear[0] else 0.0
        return tau, tau
    at_start = _ramp(T[0], float((np.abs(D[0] - velocity * T[0]) / acceleration).max()))
    at_end = _ramp(T[-1], float((np.abs(D[-1]) / acceleration).max()))
    return at_start if linear[0] else 0.0, at_end if linear[-1] else 0.0


def _ramp(T: float, D: float) -> float:
    """Return the duration tau of a ramp [s] for D = max_j |D_j| / a_j [s^2] over T [s]."""
    return min(2.0 * T / 3.0, T - math.sqrt(max(T * T - 2.0 * D, 0.0)))


def _double_ramp(T: float, D: Array, velocity: Array, acceleration: Array) -> float:
    """Return the duration [s] of both ramps of the only segment: by bisection, at most half of it."""

    def enough(tau: float) -> bool:
        line = (D - 0.5 * velocity * tau) / (T - tau)
        steps = np.maximum(np.abs(line - velocity), np.abs(line)) / acceleration
        return bool(steps.max() <= tau)

    low, high = 0.0, 0.5 * T
    if not enough(high):
        return high
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _with_start_ramp(C: Array, lengths: Array, half: float, velocity: Array) -> tuple[Array, Array]:
    """Split the first, linear segment `half` [s] after its beginning, until when it keeps `velocity` (n,)."""
    ramp, line = C[:1].copy(), C[:1].copy()
    end, left = C[0, 0] + lengths[0] * C[0, 1], lengths[0] - half
    ramp[0, 1] = velocity
    line[0, 0] += half * velocity
    line[0, 1] = (end - line[0, 0]) / left
    return np.concatenate((ramp, line, C[1:])), np.concatenate(([half, left], lengths[1:]))


def _with_end_ramp(C: Array, lengths: Array, half: float, end: Array) -> tuple[Array, Array]:
    """Split the last, linear segment `half` [s] before its end, from when on it stays at `end` (n,)."""
    line, rest = C[-1:].copy(), np.zeros_like(C[-1:])
    line[0, 1] = (end - line[0, 0]) / (lengths[-1] - half)
    rest[0, 0] = end
    return np.concatenate((C[:-1], line, rest)), np.concatenate((lengths[:-1], [lengths[-1] - half, half]))
