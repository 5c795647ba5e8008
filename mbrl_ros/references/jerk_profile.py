r"""The motion of one joint with limited velocity, acceleration and jerk: to rest at a place, or to a velocity.

A motion is a list of pieces (duration [s], jerk). With |v| <= V, |a| <= A, |j| <= J the fastest motion to rest at the
way d follows from three facts:

* The fastest way to a = 0, v = 0 from (v, a) changes the sign of its jerk once, at most holding a = -+A between; it
  is in the direction of -sign(v + a |a| / (2 J)), the velocity once the acceleration is gone.
* Of all motions that come to rest after the same time, the one that comes farthest accelerates as long as the limits
  allow, for theta seconds, and then stops the fastest way. The place P(theta) and the time T(theta) of its rest never
  fall as theta rises: to accelerate for longer first never makes the earliest stop earlier. So P(theta) = d has one
  solution, found by bracketing, without the roots of polynomials. Once v = V is reached the rest is in closed form.
* Limits are convex and the motion is linear in j. So of two motions of the duration T, to the places P_1 and P_2, the
  mixture j = lambda j_1 + (1 - lambda) j_2 keeps the limits and comes to any place between. With the farthest motion
  of the duration T, and the fastest stop and a rest, that is a motion of a given duration to wherever d can be reached
  earlier. Both turn back at most where they have to, so the mixture does too. A lower speed with the same
  accelerations is preferred where it does (`jerk_trajectory.slower`).

Where the start is outside of the limits, what brings it within them the fastest comes first (`brake`).
Sources: Kroeger, On-Line Trajectory Generation in Robotic Systems, Springer 2010 (structure, synchronisation);
Berscheid, Kroeger, RSS 2021 (brake pre-trajectories); Lee, Markus, Foundations of Optimal Control Theory, 1967
(switching surfaces, convexity of what is reached).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

Pieces = list[tuple[float, float]]  # (duration [s], jerk)
BRACKETINGS = 400  # evaluations after which the best root so far is taken
ROOT_EPSILON = sys.float_info.epsilon


@dataclass(frozen=True, slots=True)
class Limits:
    """Of velocity, acceleration and jerk of one joint, all positive."""

    velocity: float
    acceleration: float
    jerk: float


def integrate(pieces: Iterable[tuple[float, float]], p: float, v: float, a: float) -> tuple[float, float, float]:
    """Return position, velocity and acceleration after `pieces` from p, v, a."""
    for t, j in pieces:
        p, v, a = p + t * (v + t * (0.5 * a + t * j / 6.0)), v + t * (a + 0.5 * t * j), a + t * j
    return p, v, a


def signed(sign: float, pieces: Pieces) -> Pieces:
    """Return them, mirrored for a negative sign."""
    return pieces if sign > 0.0 else [(t, -j) for t, j in pieces]


def duration_of(pieces: Pieces) -> float:
    """Return how long they take [s]."""
    return sum(t for t, _ in pieces)


def stop(v: float, a: float, limits: Limits) -> tuple[Pieces, float, float]:
    """Find the fastest motion from (v, a) to v = 0, a = 0 with |a| <= A.

    Returns
    -------
    pieces, way, time
        Three pieces, the way to the place of rest, and the time [s] until then.
    """
    A, J = limits.acceleration, limits.jerk
    sign = 1.0 if v + a * abs(a) / (2.0 * J) >= 0.0 else -1.0
    v, a = sign * v, sign * a
    least, hold = sqrt(max(0.0, 0.5 * a * a + J * v)), 0.0
    if least > A:
        least, hold = A, max(0.0, (v + 0.5 * a * a / J - A * A / J) / A)
    first, last = max(0.0, (a + least) / J), least / J
    left = least * (0.5 * last + hold)  # velocity once -least is reached
    way = first * (v + first * (0.5 * a - first * J / 6.0)) + hold * (left - 0.5 * hold * least) + J * last**3 / 6.0
    return [(first, -sign * J), (hold, 0.0), (last, sign * J)], sign * way, first + hold + last


def brake(v: float, a: float, limits: Limits) -> Pieces:
    """Find what brings (v, a) within the limits the fastest, so that it can stay within them; none where it can."""
    V, A, J = limits.velocity, limits.acceleration, limits.jerk
    for sign in (1.0, -1.0):
        w, b = sign * v, sign * a
        if b > A:
            return signed(sign, _less_acceleration(w, b, limits))
        if b < -A:
            return signed(-sign, _less_acceleration(-w, -b, limits))
        if (w > V and not _falls_too_far(w, b, V, J)) or (b > 0.0 and w + 0.5 * b * b / J > V):
            return signed(sign, _less_velocity(w, b, limits))
    return []


def _falls_too_far(v: float, a: float, V: float, J: float) -> bool:
    return a < 0.0 and v - 0.5 * a * a / J < -V


def _less_acceleration(v: float, a: float, limits: Limits) -> Pieces:
    """Bring a > A to A, and v to -V with it where it is less; or to less velocity, where that would be too much."""
    V, A, J = limits.velocity, limits.acceleration, limits.jerk
    if v + 0.5 * a * a / J > V:
        return _less_velocity(v, a, limits)
    first = (a - A) / J
    reached = v + first * (a - 0.5 * first * J)
    if reached >= -V:
        return [(first, -J)]
    return [(first, -J), (max(0.0, min((-V - reached) / A, (V - reached) / A - 0.5 * A / J)), 0.0)]


def _less_velocity(v: float, a: float, limits: Limits) -> Pieces:
    """Fall to the velocity V, with a < 0; no longer than until a has to rise, lest v falls below -V."""
    V, A, J = limits.velocity, limits.acceleration, limits.jerk
    to_limit = (a + sqrt(max(0.0, a * a + 2.0 * J * (v - V)))) / J
    to_turn = (a + sqrt(max(0.0, 0.5 * a * a + J * (v + V)))) / J
    to_least = (a + A) / J
    first = min(to_limit, to_turn)
    if to_least >= first:
        return [(first, -J)]
    reached = v + to_least * (a - 0.5 * to_least * J)
    return [(to_least, -J), (max(0.0, min((reached - V) / A, (reached + V) / A - 0.5 * A / J)), 0.0)]


class Farthest:
    """The motions from (v, a), within the limits, that come to rest the farthest for their duration.

    With the parameter theta in [0, `longest`] [s]: accelerate for theta, then stop. After `longest` they also keep the
    velocity limit for a time.
    """

    def __init__(self, v: float, a: float, limits: Limits):
        V, A, J = limits.velocity, limits.acceleration, limits.jerk
        self._v, self._a, self._limits = v, a, limits
        # the peak at which the velocity rises to V while the acceleration falls to 0
        peak, self._hold = sqrt(max(0.0, J * (V - v) + 0.5 * a * a)), 0.0
        if peak > A:
            peak, self._hold = A, max(0.0, (V - v + 0.5 * a * a / J) / A - A / J)
        self._rise = max(0.0, (peak - a) / J)
        self.longest = self._rise + self._hold
        self.way, self.time = self.at(self.longest)
        _, v, a = integrate(self._accelerate(self.longest), 0.0, v, a)
        self._cruise, self._fade = v + 0.5 * a * a / J, max(0.0, a / J)

    def at(self, theta: float) -> tuple[float, float]:
        """Return the place of rest and the time [s] of the motion that accelerates for theta [s]."""
        p, v, a = integrate(self._accelerate(theta), 0.0, self._v, self._a)
        _, way, time = stop(v, a, self._limits)
        return p + way, theta + time

    def to(self, way: float) -> Pieces:
        """Return the motion to the place `way`, not before that of the stop: the fastest there is."""
        if way >= self.way:
            return self._pieces(self.longest, (way - self.way) / self._cruise)
        return self._pieces(rising_root(lambda theta: self.at(theta)[0] - way, self.longest))

    def lasting(self, time: float) -> Pieces:
        """Return the motion of the duration `time` [s], not less than that of the stop."""
        if time >= self.time:
            return self._pieces(self.longest, time - self.time)
        return self._pieces(rising_root(lambda theta: self.at(theta)[1] - time, self.longest))

    def _accelerate(self, theta: float) -> Pieces:
        if theta <= self._rise:
            return [(theta, self._limits.jerk)]
        return [(self._rise, self._limits.jerk), (theta - self._rise, 0.0)]

    def _pieces(self, theta: float, cruise: float = 0.0) -> Pieces:
        pieces = self._accelerate(theta)
        _, v, a = integrate(pieces, 0.0, self._v, self._a)
        stopping, _, _ = stop(v, a, self._limits)
        if cruise > 0.0:
            (first, jerk), *others = stopping
            stopping = [(self._fade, jerk), (cruise, 0.0), (max(0.0, first - self._fade), jerk), *others]
        return pieces + stopping


def rising_root(f: Callable[[float], float], high: float) -> float:
    """Find x in [0, high] with f(x) = 0, to the last bits, of an f that never falls, with f(0) <= 0 <= f(high).

    Chandrupatla's bracketing (Advances in Engineering Software 28, 1997): inverse quadratic interpolation where that
    is safe, else bisection.
    """
    a, b = high, 0.0
    fa, fb = f(a), f(b)
    if fb >= 0.0 or fa <= 0.0:
        return b if fb >= 0.0 else a
    part = 0.5
    for _ in range(BRACKETINGS):
        x = a + part * (b - a)
        fx = f(x)
        if (fx > 0.0) == (fa > 0.0):
            c, fc = a, fa
        else:
            c, fc, b, fb = b, fb, a, fa
        a, fa = x, fx
        best = a if abs(fa) < abs(fb) else b
        width = abs(b - a)
        if fa == 0.0 or width <= 2.0 * ROOT_EPSILON * abs(best):
            return best
        part = 0.5
        if fa != fb and fb != fc and fc != fa:
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            if phi * phi < xi and (1.0 - phi) * (1.0 - phi) < 1.0 - xi:
                part = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        least = min(0.5, ROOT_EPSILON * abs(best) / width)
        part = min(max(part, least), 1.0 - least)
    return best


def mixture(first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]], share: float) -> Pieces:
    """Return the motion with the jerk share j_1 + (1 - share) j_2, of two that last equally long."""
    mixed: Pieces = []
    queues = [[piece for piece in reversed(pieces) if piece[0] > 0.0] for pieces in (first, second)]
    while queues[0] and queues[1]:
        (t1, j1), (t2, j2) = queues[0].pop(), queues[1].pop()
        t = min(t1, t2)
        mixed.append((t, share * j1 + (1.0 - share) * j2))
        for queue, left, j in ((queues[0], t1 - t, j1), (queues[1], t2 - t, j2)):
            if left > 0.0:
                queue.append((left, j))
    return mixed
