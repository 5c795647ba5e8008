r"""Motions of n joints with limited velocity, acceleration and jerk, and the fastest one to rest at a place.

All joints arrive together: the slowest joint's fastest motion decides the duration, and every other joint takes a
motion of that duration (jerk_profile.py). It is also the shortest duration, as a joint that can rest at its goal can
be there at any later time. Motions to velocities: jerk_velocity.py.

A joint moves with a constant jerk in each of its pieces: up to two that bring it within its limits, up to fourteen on
the way, and what follows, without jerk. In the piece k that began b_k after the motion,

    y_j(t) = p_k + s (v_k + s (a_k/2 + s jerk_k/6)),      s = t - b_k
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from math import inf, sqrt

import numpy as np

from ..exceptions import TargetError
from ..types import Array
from .jerk_profile import Farthest, Limits, Pieces, brake, duration_of, integrate, mixture, rising_root, signed, stop

PIECES = 18  # of a joint
LONGEST_MOTION = 7600.0  # [s] that a motion may take: beyond it, rounding and not the limits would decide where it ends
SAME_WAY = 1e-13  # relative: ways that differ by less are the same
SAME_DURATION = 1e-12  # relative: durations that differ by less are the same
Piece = tuple[float, float, float, float, float]  # b [s], p, v, a/2, jerk/6


class JerkTrajectory:
    """A motion of n joints, each with its pieces.

    Parameters
    ----------
    start
        Position, velocity, acceleration, (n,) each.
    pieces
        Duration [s] and jerk of the pieces of each joint.
    ends
        Position, velocity, acceleration of each joint after its last piece: what the pieces come to but for rounding.
    duration
        Until every joint has arrived [s].
    """

    def __init__(
        self,
        start: Sequence[Sequence[float]],
        pieces: Sequence[Pieces],
        ends: Sequence[tuple[float, float, float]],
        duration: float,
    ):
        self.duration = duration
        self._joints = [_joint(*state) for state in zip(*start, pieces, ends, strict=True)]
        self._begins = [[piece[0] for piece in joint] for joint in self._joints]

    def polynomials(self) -> tuple[Array, Array]:
        """Return b (n, PIECES) and (p, v, a/2, jerk/6) (n, PIECES, 4); pieces that there are not began long ago."""
        begins, C = np.full((len(self._joints), PIECES), -np.inf), np.zeros((len(self._joints), PIECES, 4))
        for j, joint in enumerate(self._joints):
            begins[j, -len(joint) :] = self._begins[j]
            C[j, -len(joint) :] = [piece[1:] for piece in joint]
        return begins, C

    def at_time(self, time: float) -> tuple[list[float], list[float], list[float]]:
        """Return position, velocity and acceleration `time` [s] after the beginning; it goes on after its end."""
        position, velocity, acceleration = [], [], []
        for begins, joint in zip(self._begins, self._joints, strict=True):
            b, p, v, a, j = joint[max(0, bisect.bisect_right(begins, time) - 1)]
            s = time - b
            position.append(p + s * (v + s * (a + s * j)))
            velocity.append(v + s * (2.0 * a + 3.0 * s * j))
            acceleration.append(2.0 * a + 6.0 * s * j)
        return position, velocity, acceleration

    def extrema(self, end: float) -> tuple[Array, Array]:
        """Return the least and the largest positions (n,) from the beginning until `end` [s], or its own end."""
        least, most = zip(*(_extrema(joint, min(end, self.duration)) for joint in self._joints), strict=True)
        return np.array(least), np.array(most)


def _joint(p: float, v: float, a: float, pieces: Pieces, end: tuple[float, float, float]) -> list[Piece]:
    """Integrate the pieces from p, v, a."""
    joint, b = [], 0.0
    for t, j in pieces:
        if t > 0.0:
            joint.append((b, p, v, 0.5 * a, j / 6.0))
            b += t
            p, v, a = integrate(((t, j),), p, v, a)
    p, v, a = end
    joint.append((b, p, v, 0.5 * a, 0.0))
    return joint


def _extrema(joint: list[Piece], end: float) -> tuple[float, float]:
    """Return the least and largest position of a joint over [0, end]."""
    found = [joint[0][1]]
    for (b, p, v, a, j), after in zip(joint, [piece[0] for piece in joint[1:]] + [inf], strict=True):
        last = min(after, end) - b
        if last < 0.0:
            break
        for s in (*_zeros(v, 2.0 * a, 3.0 * j), last):
            if 0.0 < s <= last:
                found.append(p + s * (v + s * (a + s * j)))
    return min(found), max(found)


def _zeros(c: float, b: float, a: float) -> list[float]:
    """Return the real zeros of c + b s + a s^2, without cancellation; none of a constant."""
    square = b * b - 4.0 * a * c
    if square < 0.0:
        return []
    half = -0.5 * (b + (sqrt(square) if b >= 0.0 else -sqrt(square)))
    return [numerator / denominator for numerator, denominator in ((half, a), (c, half)) if denominator != 0.0]


def to_rest(
    start: Sequence[Sequence[float]],
    goal: Sequence[float],
    velocity: Sequence[float],
    acceleration: Sequence[float],
    jerk: Sequence[float],
) -> JerkTrajectory:
    """Find the fastest motion of n joints to rest at a place, all arriving together.

    Parameters
    ----------
    start
        Position, velocity, acceleration, (n,) each; where they are outside of the limits, it comes within them first.
    goal
        Where it is to rest (n,).
    velocity, acceleration, jerk
        Limits (n,), positive.

    Raises
    ------
    TargetError
        There is none: something is not finite, a limit is not positive, or it would take longer than `LONGEST_MOTION`.
    """
    check((*start, goal), (velocity, acceleration, jerk))
    bounds = [Limits(*of_joint) for of_joint in zip(velocity, acceleration, jerk, strict=True)]
    states = zip(_columns(start), goal, bounds, strict=True)
    joints = [_ToRest(p, v, a, end, limits) for (p, v, a), end, limits in states]
    longest = max((joint.duration for joint in joints), default=0.0)
    check_duration(longest)
    pieces = [joint.lasting(longest) for joint in joints]
    return JerkTrajectory(start, pieces, [(p, 0.0, 0.0) for p in goal], longest)


class _ToRest:
    """The fastest motion of a joint to rest at a place, and longer ones."""

    def __init__(self, p: float, v: float, a: float, goal: float, limits: Limits):
        self._braking = brake(v, a, limits)
        p, self._v, self._a = integrate(self._braking, p, v, a)
        self._way, self._limits = goal - p, limits
        _, stopped, _ = stop(self._v, self._a, limits)
        self._sign = 1.0 if self._way >= stopped else -1.0
        self._farthest = Farthest(self._sign * self._v, self._sign * self._a, limits)
        self._fastest = self._braking + signed(self._sign, self._farthest.to(self._sign * self._way))
        self.duration = duration_of(self._fastest)

    def lasting(self, time: float) -> Pieces:
        """Return the motion that lasts `time` [s], not less than `duration`."""
        if time - self.duration <= SAME_DURATION * time:
            return self._fastest
        time -= duration_of(self._braking)
        if (straight := self._at_lower_speed(time)) is not None:
            return self._braking + straight
        there = signed(self._sign, self._farthest.lasting(time))
        end, _, _ = integrate(there, 0.0, self._v, self._a)
        stopping, stopped, _ = stop(self._v, self._a, self._limits)
        return self._braking + blend(there, stopping, end - stopped, self._way - stopped)

    def _at_lower_speed(self, time: float) -> Pieces | None:
        """Return a motion that lasts `time` [s], without an acceleration to begin with; None where there is none."""
        level = abs(self._a) / self._limits.jerk
        first = [(level, -self._limits.jerk if self._a > 0.0 else self._limits.jerk)] if level else []
        gone, v, _ = integrate(first, 0.0, self._v, self._a)
        if not 0.0 <= self._sign * v <= self._limits.velocity or time <= level:
            return None
        found = slower(self._sign * (self._way - gone), time - level, self._limits, self._sign * v)
        return None if found is None else first + signed(self._sign, found)


def slower(way: float, time: float, limits: Limits, v: float) -> Pieces | None:
    r"""Return the motion from the speed v >= 0 over `way` to rest that lasts `time` [s], at a speed w between.

    The change from v to w and that from w to rest have the accelerations of the fastest motion; w is the solution of

        (v + w)/2 r(|w - v|) + w (time - r(|w - v|) - r(w)) + w/2 r(w) = way,

    where a change of speed by d takes r(d) = d/A + A/J if A is reached, 2 sqrt(d/J) otherwise. None where there is no
    such motion. One with lower accelerations would tell the estimator less of what the joint resists them with.
    """
    A, J = limits.acceleration, limits.jerk

    def ramp(change: float) -> tuple[float, float]:
        return (A / J, change / A - A / J) if change * J >= A * A else (sqrt(change / J), 0.0)

    def cruise(w: float) -> tuple[float, float]:
        """Return the time at w, and the way of the motion."""
        first, last = (2.0 * t + level for t, level in (ramp(abs(w - v)), ramp(w)))
        there = time - first - last
        return there, 0.5 * (v + w) * first + w * there + 0.5 * w * last

    def over(w: float) -> float:
        there, reached = cruise(w)
        return inf if there < 0.0 else reached - way

    w = rising_root(over, limits.velocity)
    there, reached = cruise(w)
    if there < 0.0 or abs(reached - way) > SAME_WAY * (way + limits.velocity * time):
        return None
    pieces = []
    for change, sign in ((w - v, 1.0 if w >= v else -1.0), (w, -1.0)):
        t, level = ramp(abs(change))
        pieces += [(t, sign * J), (level, 0.0), (t, -sign * J)]
    return [*pieces[:3], (there, 0.0), *pieces[3:]]


def blend(most: Pieces, least: Pieces, farthest: float, wanted: float) -> Pieces:
    """Return the mixture that comes to `wanted`, of `most`, to `farthest`, and `least`, to 0, where it stays."""
    share = wanted / farthest if farthest != 0.0 else 0.0
    waiting = max(0.0, duration_of(most) - duration_of(least))
    return mixture(most, [*least, (waiting, 0.0)], min(max(share, 0.0), 1.0))


def _columns(rows: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    return list(zip(*rows, strict=True))


def check(numbers: Sequence[Sequence[float]], limits: Sequence[Sequence[float]]) -> None:
    """Raise TargetError unless all are finite, and limits positive."""
    if not all(np.isfinite(values).all() for values in numbers):
        raise TargetError("a position, velocity or acceleration is not finite")
    if not all(np.isfinite(values).all() and np.min(values, initial=1.0) > 0.0 for values in limits):
        raise TargetError("a limit is not a positive number")


def check_duration(duration: float) -> None:
    """Raise TargetError for a duration [s] of more than `LONGEST_MOTION`."""
    if not duration <= LONGEST_MOTION:
        raise TargetError(f"it would take {duration:.0f} s, more than {LONGEST_MOTION:.0f} s")
