"""The command limiter: no command leaves its limits, and a guard brakes before a joint's stops.

For joint i with command box [l_i, h_i], previous command p_i and rate r (h_i - l_i) per period,

    u_i in [l_i, h_i]  and  |u_i - p_i| <= r (h_i - l_i).

Before a stop at distance d_i the speed towards it may be at most v_i = min(c v_max_i, sqrt(2 a_i d_i)): what the
deceleration a_i stops in time. Above it the guard brakes an effort command, clips a velocity command, and limits the
step of a position command to what v_i covers in a period.

`stopping` brakes velocities and positions with the acceleration limit, positions of an arm that lags behind them harder
(guard/lagging.py).
"""

from __future__ import annotations

import numpy as np

from ..config.section import per_joint
from ..config.sections.safety import SupervisorSettings
from ..guard.lagging import braked, speed_for_lagging
from ..robots import Robot
from ..types import Array, Observation
from .state_machine import Reason

GUARD_BAND = 0.05  # fraction of the velocity limit over which the guard fades in
COMMAND_ROUNDING = 1e-12  # a difference below counts as none
AT_LIMIT = 1e-6  # fraction of its range from its limit at which a command counts as saturated


class CommandLimiter:
    """Limits the commands of `robot` for the period `dt` [s].

    `share` is the part of a period for which a command holds: 1, except for commands of the feedback player.
    """

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self.robot, self.settings, self.dt = robot, settings, dt
        self._lower, self._upper = robot.command_lower, robot.command_upper
        span = self._upper - self._lower
        self._largest_step = per_joint(settings.command_rate, robot.n, "supervisor.command_rate") * span
        self._saturated_below, self._saturated_above = self._lower + AT_LIMIT * span, self._upper - AT_LIMIT * span
        # Both directions of every joint at once: row 0 upward, row 1 downward.
        self._signs = np.array([[1.0], [-1.0]])
        self._stops = np.stack((robot.position_upper, -robot.position_lower))
        self._stopping = 2.0 * settings.stop_deceleration * robot.acceleration_limit
        self._fastest = settings.speed_guard * robot.velocity_limit
        self._band = GUARD_BAND * robot.velocity_limit
        self._acceleration = settings.acceleration * robot.acceleration_limit
        self._slowing = robot.acceleration_limit * dt
        self._braking = settings.guard_effort * robot.effort_limit
        self.previous: Array = self.inside(np.zeros(robot.n))
        self._last_step: Array = np.zeros(robot.n)
        self._stopping_speed: Array = np.zeros(robot.n)
        self._slow: Array | None = None  # the speed of an arm that lags, down to which it brakes harder; None: unknown
        self._fraction: Array = np.ones(robot.n)  # of the guard's speed that is allowed

    def reset(self, command: Array, speed: Array | None = None) -> None:
        """Start anew with `command` (n,) in effect, for long or while it changes by `speed` (n,) [1/s]."""
        self.previous = self.inside(command)
        self._last_step, self._fraction = np.zeros(self.robot.n), np.ones(self.robot.n)
        if speed is not None:
            self._last_step = self.dt * _within(speed, -self.robot.velocity_limit, self.robot.velocity_limit)
            self.begin_stopping()
        else:
            self._stopping_speed = np.zeros(self.robot.n)

    def stay(self) -> None:
        """Start anew at rest: with a velocity of zero, or the last position."""
        self.reset(np.zeros(self.robot.n) if self.robot.interface == "velocity" else self.previous)

    def start_at(self, observation: Observation) -> Array:
        """Start anew from the measured motion instead of the last command; return the command (n,) of that motion."""
        if self.robot.interface == "velocity":
            self.reset(_within(observation.qd, -self._fastest, self._fastest))
            self.begin_stopping()
        elif self.robot.interface == "position":
            self.reset(observation.q, observation.qd)
        return self.previous

    def inside(self, u: Array) -> Array:
        """Return the nearest command (n,) inside [l, h]."""
        return _within(u, self._lower, self._upper)

    def room(self, q: Array) -> Array:
        """Return the distances (2, n) [rad or m] to the upper and lower stops; negative outside."""
        room: Array = self._stops - self._signs * q
        return room

    def slow_down_to(self, fraction: float, observation: Observation, share: float = 1.0) -> None:
        """Allow a `fraction` of the guard's speed c v_max; a joint that is faster slows down by its acceleration limit.

        Parameters
        ----------
        fraction
            in (0, 1].
        observation
            the present state.
        share
            part of a period since the last command.
        """
        if fraction >= 1.0:
            self._fraction = np.ones(self.robot.n)
            return
        speed = observation.qd if self.robot.interface == "effort" else self._command_speed()
        slower = np.minimum(self._fraction, (np.abs(speed) - share * self._slowing) / self._fastest)
        self._fraction = np.maximum(fraction, slower)

    def allowed_speed(self, room: Array) -> Array:
        """Return the speeds v (2, n) [rad/s or m/s] allowed upward and downward.

        Parameters
        ----------
        room
            (2, n) distances d to the stops [rad or m].
        """
        allowed: Array = np.minimum(self._fraction * self._fastest, np.sqrt(self._stopping * np.maximum(room, 0.0)))
        return allowed

    def saturated(self) -> bool:
        """Return whether the last command of any joint is at its limit."""
        return bool((self.previous >= self._saturated_above).any() or (self.previous <= self._saturated_below).any())

    def guarded(self, u: Array, observation: Observation, allowed: Array, share: float = 1.0) -> Array:
        """Return the command (n,) after the guard before the joints' limits.

        Parameters
        ----------
        u
            (n,) requested command; the same array is returned where the guard changes nothing.
        observation
            the present state.
        allowed
            (2, n) speeds [rad/s or m/s] upward and downward.
        share
            part of a period for which the command holds.
        """
        if self.robot.interface == "effort":
            excess = (self._signs * observation.qd - allowed) / self._band + 1.0
            if excess.max() <= 0.0:
                return u
            up, down = np.minimum(np.maximum(excess, 0.0), 1.0)
            braked: Array = u + self._braking * (down - up)
            return braked
        up, down = allowed
        period = share * self.dt
        if self.robot.interface == "velocity":
            most = self._acceleration * period
            guarded = _within(_within(u, self.previous - most, self.previous + most), -down, up)
        else:
            most = self._acceleration * period * self.dt
            step = _within(u - self.previous, share * self._last_step - most, share * self._last_step + most)
            guarded = self.previous + _within(step, -down * period, up * period)
        return guarded if np.abs(guarded - u).max() > COMMAND_ROUNDING else u

    def begin_stopping(self) -> None:
        """Let `stopping` slow down from the present speed of the command."""
        self._stopping_speed, self._slow = self._command_speed(), None

    def _command_speed(self) -> Array:
        """Return the speed (n,) of the last velocity or position command [rad/s or m/s]."""
        speed: Array = self.previous if self.robot.interface == "velocity" else self._last_step / self.dt
        return speed

    def moving(self) -> bool:
        """Whether the last velocity or position command moves a joint."""
        return bool((np.abs(self._command_speed()) > self._band).any()) if self.robot.interface != "effort" else False

    def stopping(self, observation: Observation | None) -> Array:
        """Return the next velocity or position command (n,) on the way to rest within the acceleration limits.

        `observation`: the present state, None without one.
        """
        speed, positions = self._stopping_speed, self.robot.interface == "position"
        if self._slow is None and observation is not None and positions:
            lead, a = self.previous - observation.q, self.robot.acceleration_limit
            self._slow = speed_for_lagging(lead, speed, observation.qd, a, self.dt)
        speed = self._stopping_speed = braked(speed, np.inf if self._slow is None else self._slow, self._slowing)
        return self.previous + self.dt * speed if positions else speed

    @property
    def last_step(self) -> Array:
        """The last change (n,) of the command, for a whole period."""
        return self._last_step

    def slowed(self, u: Array, previous: Array, step: Array, observation: Observation, share: float = 1.0) -> Array:
        """Let u (n,), which moves less, take the place of the last velocity or position command; return what acts.

        It does not change faster than `supervisor.acceleration` and `supervisor.command_rate` allow: where u is out of
        reach, the motion before is braked as hard as they do, all joints by one factor, so that it keeps its direction.

        Parameters
        ----------
        u
            (n,) the command.
        previous
            (n,) the command before the last one.
        step
            (n,) the change, for a whole period, that led to it.
        observation
            the present state.
        share
            part of a period for which the command holds.
        """
        period, base = share * self.dt, np.zeros(self.robot.n)
        motion, wanted, most = previous, u, period * command_braking(self.robot, self.settings, self.dt)
        if self.robot.interface == "position":  # in one period
            base, motion, wanted, most = previous, share * step, u - previous, most * self.dt
        if (np.abs(wanted - motion) > most + COMMAND_ROUNDING).any():
            up, down = self.allowed_speed(self.room(observation.q))
            if self.robot.interface == "position":
                up, down = period * up, period * down
            wanted = _within(motion * (1.0 - 1.0 / max(1.0, float((np.abs(motion) / most).max()))), -down, up)
        self.previous = previous
        return self.limited(base + wanted, share)[0]

    def watch(self, q: Array) -> tuple[bool, bool]:
        """Return whether a joint is outside its position limits at q (n,), and whether `saturated`."""
        return bool((self.room(q) < 0.0).any()), self.saturated()

    def limit(
        self, u: Array, observation: Observation, slower: float, near: Array | None, share: float = 1.0
    ) -> tuple[Array, int]:
        """Return the command after the guard and within its limits, and the Reason flags of what changed it.

        Parameters
        ----------
        u
            (n,) requested command.
        observation
            the present state.
        slower
            fraction of the guard's speed that is allowed; see `slow_down_to`.
        near
            (n,) how far the command may be from the measured position; None: as far as it will.
        share
            part of a period for which the command holds.
        """
        self.slow_down_to(slower, observation, share)
        guarded = self.guarded(u, observation, self.allowed_speed(self.room(observation.q)), share)
        if near is not None:
            guarded = np.clip(guarded, observation.q - near, observation.q + near)
        reasons = 0 if guarded is u else int(Reason.SPEED)
        limited, limits = self.limited(guarded, share)
        return limited, reasons | limits

    def limited(self, u: Array, share: float = 1.0) -> tuple[Array, int]:
        """Return u (n,) within its limits and near the previous command, and the Reason flags of what changed it.

        Where u is not finite, the previous command goes on.
        """
        previous, step = self.previous, share * self._largest_step
        near = _within(u, np.maximum(self._lower, previous - step), np.minimum(self._upper, previous + step))
        if not np.isfinite(near).all():
            near = previous
        reasons = 0
        if (near != u).any():
            reasons = int(Reason.LIMIT if ((u < self._lower) | (u > self._upper)).any() else Reason.RATE)
        self._last_step, self.previous = (near - previous) / share, near
        return near, reasons


def command_braking(robot: Robot, settings: SupervisorSettings, dt: float) -> Array:
    """Return the deceleration (n,) [rad/s^2 or m/s^2] that a velocity or position command can have at most."""
    most: Array = settings.acceleration * robot.acceleration_limit
    if robot.interface == "velocity":
        rate = per_joint(settings.command_rate, robot.n, "supervisor.command_rate")
        most = np.minimum(most, rate * (robot.command_upper - robot.command_lower) / dt)
    return most


def _within(u: Array, lower: Array, upper: Array) -> Array:
    within: Array = np.minimum(np.maximum(u, lower), upper)  # five times as fast as np.clip for a few joints
    return within
