r"""The safe command of each interface: it brakes every joint with its acceleration limit a and then holds.

With the period h [s] since the last command and clip(x, y) = min(max(x, -y), y):

    velocity   u <- u - clip(u, a h)
    position   v <- v - clip(v, a h),   u <- u + h v;      v is the speed of the last commands
    effort     u = mean + M a_r - s D (qd - v_r) - s K (q - q_r) - w,      w <- w + h s^2 K_i (q - q_r)

The first two need no joint state to brake; v brakes harder where an arm lags behind the positions (lagging.py). A robot
with the position interface that rests elsewhere after a time without joint states, as one that was switched off and on
does, is held where it is: u = q.

The effort law is that of safety/arrest.py with matrices that mpc_node sent: M the inertia, D, K and K_i the gains of
damping, stiffness and integral. Its reference (q_r, v_r, a_r) begins at the measured state; with the anchor rule
`brake` it brakes like the others, with `present` it rests where the law begins. w stands still for a joint whose
command is at its limit, and is never more than the limit. If such a joint moves faster than SWINGING_SPEED, its
reference is where the joint is. s is 1 unless the arm swings to and fro (swinging.py).

Without a recent joint state an effort cannot brake: nothing tells when the joint is at rest, and a torque that goes on
for too long throws it back. What carries the arm, mean - w, therefore goes on alone; after `carry_time` the effort is
zero, for an arm whose brakes engage by themselves. When states come again the law begins anew from the measured state.

Every command is finite, inside its limits and within reach of the one before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .lagging import braked, speed_for_lagging
from .messages import Array, GuardParameters
from .states import JointStates
from .swinging import SWINGING_SPEED, Swinging

LONGEST_STEP = 4.0  # periods: a longer pause between two commands brakes no more than this one
DISPLACED = 0.02  # [s] at the speed limit: a resting joint that far from where it is held is not held there
STANDS = 0.03  # of its speed limit: a joint no faster than this stands
CATCH_UP_SHARE = 1.5  # periods by which a position may advance at once


class Law(Protocol):
    """A safe command from its beginning to its end."""

    def command(self, elapsed: float, state: JointStates | None) -> Array:
        """Return the command (n,) `elapsed` [s] after the last one; `state`: None without a recent one."""

    @property
    def at_rest(self) -> bool:
        """Whether it only holds the arm now."""

    @property
    def carrying(self) -> Array:
        """The command (n,) that holds the arm where it is."""


def make_law(parameters: GuardParameters, last: Array, speed: Array) -> Law:
    """Make the law for the interface of `parameters`.

    Parameters
    ----------
    parameters
        what mpc_node has sent last.
    last
        (n,) the last command that went out.
    speed
        (n,) [1/s] how fast the commands were changing; used by the position interface.
    """
    if parameters.interface == "velocity":
        return VelocityLaw(parameters, last)
    if parameters.interface == "position":
        return PositionLaw(parameters, last, speed)
    return EffortLaw(parameters, last)


class VelocityLaw:
    """Ramp to zero."""

    def __init__(self, parameters: GuardParameters, last: Array):
        self._limits, self._u = _Limits(parameters, last), last

    def command(self, elapsed: float, state: JointStates | None) -> Array:
        """Return the next velocity (n,)."""
        self._u = self._limits.apply(_slower(self._u, self._limits.parameters.acceleration * elapsed))
        return self._u

    @property
    def at_rest(self) -> bool:
        """Whether every velocity is zero."""
        return not self._u.any()

    @property
    def carrying(self) -> Array:
        """Return the present velocity (n,)."""
        return self._u


class PositionLaw:
    """Brake the commanded position, then stay."""

    def __init__(self, parameters: GuardParameters, last: Array, speed: Array):
        self._limits, self._u = _Limits(parameters, last), last
        self._v = np.clip(speed, -parameters.velocity, parameters.velocity)
        self._lead: Array = np.zeros(parameters.n)  # from the last state to the command
        self._stateless = False
        self._slow: Array | None = None  # the speed of an arm that lags, down to which it brakes harder; None: unknown

    def command(self, elapsed: float, state: JointStates | None) -> Array:
        """Return the next position (n,)."""
        parameters = self._limits.parameters
        if self._stateless and state is not None and self._elsewhere(state):
            self._u, self._v = state.q, np.zeros(parameters.n)
        if self._slow is None and state is not None:
            lead, a = self._u - state.q, parameters.acceleration
            self._slow = speed_for_lagging(lead, self._v, state.qd, a, parameters.period)
        self._v = braked(self._v, np.inf if self._slow is None else self._slow, parameters.acceleration * elapsed)
        self._u = self._limits.apply(self._u + min(elapsed, CATCH_UP_SHARE * parameters.period) * self._v)
        self._stateless = state is None
        if state is not None:
            self._lead = self._u - state.q
        return self._u

    def _elsewhere(self, state: JointStates) -> bool:
        """Return whether the robot rests elsewhere than it is held; how far a load moves it away is seen before."""
        velocity, lead = self._limits.parameters.velocity, self._u - state.q
        away = np.minimum(np.abs(lead), np.abs(lead - self._lead)) > DISPLACED * velocity
        return bool(away.any() and (np.abs(state.qd) <= STANDS * velocity).all())

    @property
    def at_rest(self) -> bool:
        """Whether the position no longer changes."""
        return not self._v.any()

    @property
    def carrying(self) -> Array:
        """Return the present position (n,)."""
        return self._u


class EffortLaw:
    """Bring the arm to rest and carry it."""

    def __init__(self, parameters: GuardParameters, last: Array):
        self._limits = _Limits(parameters, last)
        self._q: Array | None = None  # q_r; None before the law begins
        self._v, self._w = np.zeros(parameters.n), np.zeros(parameters.n)
        self._braking = parameters.acceleration
        self._stateless = 0.0  # [s] without a state
        self._swinging = Swinging(parameters.velocity)
        self._spring = np.zeros(parameters.n)  # K (q - q_r): not zero for long where something else holds the arm

    def command(self, elapsed: float, state: JointStates | None) -> Array:
        """Return the next effort (n,)."""
        if state is None:
            self._stateless, self._spring = self._stateless + elapsed, np.zeros(self._v.size)
            lasting = self._stateless <= self._limits.parameters.carry_time
            return self._limits.apply(self.carrying if lasting else np.zeros(self._v.size))
        if self._q is None or self._stateless:
            self._begin(state)
        return self._limits.apply(self._feedback(elapsed, state))

    @property
    def at_rest(self) -> bool:
        """Whether the reference rests and is fed back."""
        return self._q is not None and not self._stateless and not self._v.any()

    @property
    def carrying(self) -> Array:
        """Return the effort (n,) that carries the arm at rest: its command there, without what the velocity adds."""
        p = self._limits.parameters
        return np.clip(p.mean - self._w - self._spring, p.lower, p.upper)

    def _begin(self, state: JointStates) -> None:
        parameters = self._limits.parameters
        self._q, self._stateless = state.q, 0.0
        self._v = state.qd if parameters.anchor == "brake" else np.zeros(parameters.n)
        excess = np.maximum(1.0, np.abs(self._v) / parameters.velocity)
        self._braking = excess**2 * parameters.acceleration

    def _feedback(self, elapsed: float, state: JointStates) -> Array:
        p = self._limits.parameters
        assert self._q is not None
        share = self._swinging.update(state.qd, elapsed)
        slower = _slower(self._v, self._braking * elapsed)
        a, e = (slower - self._v) / elapsed, state.q - self._q
        self._spring = share * (p.stiffness @ e)
        u = p.mean + p.inertia @ a - share * (p.damping @ (state.qd - self._v)) - self._spring - self._w
        self._q, self._v = self._q + 0.5 * elapsed * (slower + self._v), slower
        change, limit = share**2 * elapsed * (p.integral @ e), np.maximum(np.abs(p.lower), np.abs(p.upper))
        winding = ((u >= p.upper) & (change < 0.0)) | ((u <= p.lower) & (change > 0.0))
        self._w = np.clip(self._w + np.where(winding, 0.0, change), -limit, limit)
        beyond = ((u > p.upper) | (u < p.lower)) & (np.abs(state.qd) > SWINGING_SPEED * p.velocity)
        self._q, self._v = np.where(beyond, state.q, self._q), np.where(beyond, state.qd, self._v)
        return u


class _Limits:
    """Make every command finite, inside its limits and within reach of the one before."""

    def __init__(self, parameters: GuardParameters, last: Array):
        self.parameters, self._previous = parameters, np.clip(last, parameters.lower, parameters.upper)

    def apply(self, u: Array) -> Array:
        """Return the command nearest to u (n,) that may go out."""
        p, previous = self.parameters, self._previous
        near = np.clip(
            u, np.maximum(p.lower, previous - p.largest_step), np.minimum(p.upper, previous + p.largest_step)
        )
        self._previous = np.where(np.isfinite(near), near, previous)
        return self._previous


def where_it_rests(
    parameters: GuardParameters, state: JointStates | None, last: Array, speed: Array
) -> tuple[Array, Array]:
    """Return command and speed (n,) from which a resting arm is held, else the `last` command and its `speed` (n,)."""
    if parameters.interface == "effort" or state is None or (np.abs(state.qd) > STANDS * parameters.velocity).any():
        return last, speed
    still = np.zeros(parameters.n)
    return (state.q if parameters.interface == "position" else still), still


def _slower(v: Array, change: Array) -> Array:
    """Return v (n,) brought towards zero by at most `change` (n,)."""
    return v - np.clip(v, -change, change)
