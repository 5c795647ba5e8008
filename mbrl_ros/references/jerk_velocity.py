r"""Motions of n joints with limited acceleration and jerk to velocities, that they go on with.

All joints arrive together: the slowest joint's fastest motion decides the duration T. The others move as nearly as they
can in one direction with it. With the slowest's jerk j, acceleration a_0 at first and change of the velocity D, a
joint with a'_0 and D' takes

    j'(t) = c j(t) + d_1 (t < T/2), d_2 (t >= T/2),      c = argmin (D' - c D)^2 + T^2 (a'_0 - c a_0)^2

with the d_1, d_2 that bring it to D' with no acceleration; they are zero where all joints can move in one direction.
Where that is more than its limits allow, it takes the mixture of two motions that `blend` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from .jerk_profile import Limits, Pieces, duration_of, integrate, mixture, signed, stop
from .jerk_trajectory import SAME_DURATION, JerkTrajectory, blend, check, check_duration


def to_velocity(
    start: Sequence[Sequence[float]],
    wanted: Sequence[float],
    acceleration: Sequence[float],
    jerk: Sequence[float],
) -> JerkTrajectory:
    """Find the fastest motion of n joints to velocities, all arriving together, as nearly as they can in one direction.

    Parameters
    ----------
    start
        Position, velocity, acceleration, (n,) each.
    wanted
        The velocities (n,), with no acceleration, that it goes on with after its duration.
    acceleration, jerk
        Limits (n,), positive.

    Raises
    ------
    TargetError
        There is none: something is not finite, a limit is not positive, or it would take longer than `LONGEST_MOTION`.
    """
    check((*start, wanted), (acceleration, jerk))
    _, v, a = start
    joints = [_ToVelocity(*state) for state in zip(v, a, wanted, acceleration, jerk, strict=True)]
    longest = max((joint.duration for joint in joints), default=0.0)
    check_duration(longest)
    leader = max(joints, key=lambda joint: joint.duration, default=None)
    pieces = [joint.with_leader(leader) or joint.lasting(longest) for joint in joints if leader is not None]
    states = zip(zip(*start, strict=True), pieces, wanted, strict=True)
    ends = [(integrate(of_joint, *state)[0], velocity, 0.0) for state, of_joint, velocity in states]
    return JerkTrajectory(start, pieces, ends, longest)


class _ToVelocity:
    """The fastest motion of a joint to a velocity, and longer ones."""

    def __init__(self, v: float, a: float, wanted: float, A: float, J: float):
        self.change, self.a, self.A, self.J = wanted - v, a, A, J
        self._braking = [((abs(a) - A) / J, -J if a > 0.0 else J)] if abs(a) > A else []
        _, self._v, self._a = integrate(self._braking, 0.0, v - wanted, a)
        self.fastest = self._braking + stop(self._v, self._a, Limits(inf, A, J))[0]
        self.duration = duration_of(self.fastest)

    def with_leader(self, leader: _ToVelocity) -> Pieces:
        """Return the motion nearest to that of the slowest joint, scaled; none where that does not keep the limits."""
        T, h = leader.duration, 0.5 * leader.duration
        if self is leader or T == 0.0:
            return self.fastest
        square = leader.change * leader.change + leader.a * leader.a * T * T
        if square == 0.0:
            return []
        scale = (self.change * leader.change + self.a * leader.a * T * T) / square
        a, v = self.a - scale * leader.a, self.change - scale * leader.change  # what the scaled motion leaves over
        rest = [(h, (v - 1.5 * h * a) / (h * h)), (h, (0.5 * h * a - v) / (h * h))]
        pieces = mixture([(t, scale * j) for t, j in leader.fastest], rest, 0.5)
        pieces = [(t, 2.0 * j) for t, j in pieces]
        return pieces if self._keeps_the_limits(pieces) else []

    def _keeps_the_limits(self, pieces: Pieces) -> bool:
        """Return whether `pieces` do, and turn back no farther than the joint has to."""
        v, a, more = 0.0, self.a, 1.0 + SAME_DURATION
        forced = 0.5 * a * abs(a) / self.J
        slack = SAME_DURATION * (abs(self.change) + abs(forced))
        least, most = min(0.0, self.change, forced) - slack, max(0.0, self.change, forced) + slack
        for t, j in pieces:
            turn = v - 0.5 * a * a / j if j != 0.0 and 0.0 < -a < t * j or 0.0 > -a > t * j else v
            _, v, a = integrate(((t, j),), 0.0, v, a)
            if abs(j) > more * self.J or abs(a) > more * self.A or not least <= min(turn, v) <= max(turn, v) <= most:
                return False
        return True

    def lasting(self, time: float) -> Pieces:
        """Return the motion that lasts `time` [s], not less than `duration`."""
        if time - self.duration <= SAME_DURATION * time:
            return self.fastest
        time -= duration_of(self._braking)
        kept = self._v + 0.5 * self._a * abs(self._a) / self.J  # the velocity once the acceleration is gone
        sign = 1.0 if kept <= 0.0 else -1.0
        most = signed(sign, _most_velocity(sign * self._a, time, self.A, self.J))
        _, end, _ = integrate(most, 0.0, self._v, self._a)
        fading = [(abs(self._a) / self.J, -self.J if self._a > 0.0 else self.J)]
        return self._braking + blend(most, fading, end - kept, -kept)


def _most_velocity(a: float, time: float, A: float, J: float) -> Pieces:
    """Return how the velocity rises most in `time` [s], from the acceleration a to none."""
    peak = min(A, 0.5 * (J * time + a))
    rise, fall = max(0.0, (peak - a) / J), peak / J
    return [(rise, J), (max(0.0, time - rise - fall), 0.0), (fall, -J)]
