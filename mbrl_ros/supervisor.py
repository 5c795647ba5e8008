"""The envelope no command leaves: what the controller wishes for becomes a command only through here.

For joint i with command box [l_i, h_i], previous command p_i and rate r (h_i - l_i) per tick,

    u_i in [l_i, h_i]  and  |u_i - p_i| <= r (h_i - l_i).

Before a stop at distance d_i the speed towards it may be at most v_i = min(c v_max_i, sqrt(2 a_i d_i)): what the
deceleration a_i stops in time. Above it the guard brakes an effort command, clips a velocity command, and limits the
step of a position command to what v_i covers in a tick. Which command goes into the envelope, the controller's or the
safe one, follows from the state (state_machine.py). No clock is asked: time passes by ticks and by the ages given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from .dynamics.trust import Trust, TrustSettings
from .robots import Robot
from .settings import SupervisorSettings, per_joint
from .state_machine import TABLE, Event, Reason, State
from .types import Array, Decision, DecisionStatus, Observation

GUARD_BAND = 0.05  # fraction of the velocity limit over which the guard fades in
GRANTED = {Event.HOLD: {State.HOLD}, Event.RESUME: {State.RAMP_IN, State.ACTIVE, State.DEGRADED},
           Event.CLEAR: set(State) - {State.FAULT, State.E_STOP}, Event.E_STOP: {State.E_STOP}}
ROUNDING = 1e-12  # a difference below counts as none
AT_LIMIT = 1e-6  # fraction of its range from its limit at which a command counts as saturated


@dataclass(frozen=True, eq=False, slots=True)
class Command:
    """u (nu,), finite and inside every limit; the supervisor's state, and why u is not what was wished for."""

    u: Array
    state: State
    reasons: Reason = Reason.NONE


class Supervisor:
    """One per control loop. dt [s] is the period. `state` and `cause` (of the last change) may be read at any time."""

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float, trust: TrustSettings = TrustSettings()):
        self.robot, self.settings, self.dt, self._trust_settings = robot, settings, dt, trust
        self._lower, self._upper = robot.command_lower, robot.command_upper
        span = self._upper - self._lower
        self._largest_step = settings.command_rate * span
        self._saturated_below, self._saturated_above = self._lower + AT_LIMIT * span, self._upper - AT_LIMIT * span
        # Both directions of every joint at once: row 0 upwards, row 1 downwards.
        self._signs = np.array([[1.0], [-1.0]])
        self._stops = np.stack((robot.position_upper, -robot.position_lower))
        self._stopping = 2.0 * settings.stop_deceleration * robot.acceleration_limit
        self._fastest = settings.speed_guard * robot.velocity_limit
        self._band = GUARD_BAND * robot.velocity_limit
        self._overspeed = settings.overspeed * robot.velocity_limit
        self._acceleration = settings.acceleration * robot.acceleration_limit
        self._braking = settings.guard_effort * robot.effort_limit
        self._damping = per_joint(settings.damping, robot.n, "supervisor.damping")
        self._stiffness = per_joint(settings.stiffness, robot.n, "supervisor.stiffness")
        self._ramp_time = settings.ramp_time_effort if robot.interface == "effort" else settings.ramp_time
        self.reset(None)

    def reset(self, observation: Observation | None) -> None:
        """Start anew in HOLD: the robot is at `observation` (None: unknown) and no command is in effect."""
        rest = np.zeros(self.robot.n)
        if self.robot.interface == "position" and observation is not None:
            rest = observation.q
        self._previous = np.clip(rest, self._lower, self._upper)
        self._last_step = np.zeros(self.robot.n)
        self._steady = self._previous.copy()  # effort: the commands of the recent past, averaged
        self._anchor = None if observation is None else np.array(observation.q)
        self.state, self.cause = State.HOLD, Reason.NONE
        self._begun = False
        self._failures = self._fine_ticks = self._saturated_ticks = 0
        self._outage, self._ramp = False, 0.0
        self._trust = Trust()

    # --- what is asked for ----------------------------------------------------------------------------------------

    def request(self, event: Event, observation: Observation | None = None) -> bool:
        """HOLD, RESUME, CLEAR or E_STOP, asked for by somebody; whether the state is now what was asked for.

        CLEAR is refused while its cause lasts: `observation` is the present state, None if there is none.
        """
        if event is Event.CLEAR and (observation is None or self._trouble(observation)):
            return False
        self._begun = True
        self._happen(event, Reason.REQUESTED)
        return self.state in GRANTED[event]

    # --- what happens in a tick -----------------------------------------------------------------------------------

    def filter(self, decision: Decision, observation: Observation, doubts: Reason = Reason.NONE) -> Command:
        """The command for `decision`, made from `observation`. `doubts`: what the caller has found (FEATURES ...)."""
        self._begin_if_wanted()
        reasons = int(doubts)
        usable = bool(np.isfinite(decision.u).all())
        if not usable:
            reasons |= Reason.NOT_FINITE
        if decision.status is DecisionStatus.PLANNER_FAILED:
            reasons |= Reason.PLANNER
        if self._lost(observation, not usable or bool(reasons & Reason.PLANNER), reasons):
            return self._safe(observation, reasons | self.cause)
        if not usable:
            self._happen_outage(Reason.NOT_FINITE)
            return self._safe(observation, reasons)
        room = self._stops - self._signs * observation.q
        reasons |= self._doubts(decision, room)
        self._judge(reasons)
        wish = self._chosen(decision.u, observation)
        u = self._guarded(wish, observation, self._allowed_speed(room))
        if u is not wish:
            reasons |= Reason.SPEED
        return self._limited(u, reasons)

    def failed(self, observation: Observation) -> Command:
        """The controller raised an error instead of deciding."""
        self._begin_if_wanted()
        if not self._lost(observation, True, Reason.CONTROLLER_ERROR):
            self._happen_outage(Reason.CONTROLLER_ERROR)
        return self._safe(observation, Reason.CONTROLLER_ERROR)

    def silent(self, age: float) -> Command:
        """No state has come; the newest one is `age` [s] old, more than the time-out."""
        if age > self.settings.longest_outage:
            self._happen(Event.TROUBLE, Reason.STALE_STATE)
        else:
            self._happen_outage(Reason.STALE_STATE)
        return self._safe(None, Reason.STALE_STATE)

    def stop(self, observation: Observation | None) -> Command:
        """The last command before the node ends."""
        return self._safe(observation, Reason.STOPPING)

    @property
    def resuming(self) -> bool:
        """Whether the next decision follows an outage, so that the controller should begin again from where the robot is."""
        return self._outage

    def speed_bounds(self, q: Array) -> tuple[Array, Array]:
        """The velocities (lower (n,), upper (n,)) allowed at q (n,), by the limits and the distance to the stops."""
        up, down = self._allowed_speed(self._stops - self._signs * q)
        return -down, up

    # --- the state --------------------------------------------------------------------------------------------------

    def _happen(self, event: Event, cause: Reason) -> None:
        after = TABLE[self.state, event]
        if after is not self.state:
            self.state, self.cause = after, cause
            self._ramp, self._fine_ticks, self._saturated_ticks = 0.0, 0, 0
            if after is State.HOLD:
                self._failures = 0
                self._anchor = None

    def _begin_if_wanted(self) -> None:
        if not self._begun:
            self._begun = True
            if self.settings.start == "active":
                self._happen(Event.RESUME, Reason.NONE)

    def _happen_outage(self, cause: Reason) -> None:
        self._outage = True
        self._happen(Event.OUTAGE, cause)

    def _trouble(self, observation: Observation) -> Reason:
        return Reason.OVERSPEED if (np.abs(observation.qd) > self._overspeed).any() else Reason.NONE

    def _lost(self, observation: Observation, failed: bool, reasons: int) -> bool:
        """Whether the state is, or now becomes, one in which nothing but the safe command goes out."""
        self._failures = self._failures + 1 if failed else 0
        trouble = self._trouble(observation)
        if self._failures > self.settings.max_failed_plans:
            trouble |= reasons
        if trouble:
            self._happen(Event.TROUBLE, trouble)
        if self._outage and not failed:
            self._outage = False
            self._happen(Event.RETURN, self.cause)
        return self.state in (State.FAULT, State.E_STOP)

    def _doubts(self, decision: Decision, room: Array) -> int:
        doubts = 0
        if decision.nis_dof:
            self._trust = self._trust.after(decision.nis, _bound(decision.nis_dof), self.dt, self._trust_settings)
        if self._trust.level == 0.0 and self.settings.distrust == "degrade":
            doubts |= Reason.TRUST
        if room.min() < 0.0:
            doubts |= Reason.OUTSIDE
        if self.robot.interface != "position":
            at_limit = (self._previous >= self._saturated_above).any() or (self._previous <= self._saturated_below).any()
            self._saturated_ticks = self._saturated_ticks + 1 if at_limit else 0
            if self._saturated_ticks * self.dt > self.settings.longest_saturation:
                doubts |= Reason.SATURATED
        return doubts

    def _judge(self, doubts: int) -> None:
        if self.state is State.RAMP_IN:
            self._ramp = 1.0 if self._ramp_time <= 0.0 else min(1.0, self._ramp + self.dt / self._ramp_time)
            if self._ramp >= 1.0:
                self._happen(Event.RAMPED, self.cause)
        if doubts:
            self._fine_ticks = 0
            self._happen(Event.DOUBT, Reason(doubts))
        else:
            self._fine_ticks += 1
            if self._fine_ticks * self.dt >= self.settings.fine_after:
                self._happen(Event.FINE, Reason.NONE)

    # --- the command ------------------------------------------------------------------------------------------------

    def _chosen(self, u: Array, observation: Observation) -> Array:
        """The controller's command as far as the state lets it through."""
        if self.state is State.HOLD:
            # An effort that holds comes from the controller, whose target is then to stay; the others just stay.
            return u if self.robot.interface == "effort" else self._resting(observation)
        if self.state is State.RAMP_IN:
            weight = self._ramp**2 * (3.0 - 2.0 * self._ramp)
            rest = self._resting(observation)
            return rest + weight * (u - rest)
        return u

    def _resting(self, observation: Observation | None) -> Array:
        """Stand still (velocity), stay (position), let go, damp or stiffen (effort). Damping needs to know the velocity."""
        if self.robot.interface == "position":
            return self._previous
        if self.robot.interface == "velocity" or self.settings.safe_effort == "zero":
            return np.zeros(self.robot.n)
        damping = np.zeros(self.robot.n) if observation is None else -self._damping * observation.qd
        if self.settings.safe_effort == "damp":
            return damping
        if observation is None:
            return self._steady
        if self._anchor is None:
            self._anchor = np.array(observation.q)
        return self._steady + damping + self._stiffness * (self._anchor - observation.q)

    def _safe(self, observation: Observation | None, reasons: int) -> Command:
        return self._limited(self._resting(observation), reasons, steady=False)

    def _allowed_speed(self, room: Array) -> Array:
        """The speeds (2, n) allowed upwards and downwards with `room` (2, n) left to the stops."""
        fastest = self._fastest
        if self.state is State.DEGRADED:
            fastest = self.settings.degraded_speed * fastest
        return np.minimum(fastest, np.sqrt(self._stopping * np.maximum(room, 0.0)))

    def _guarded(self, u: Array, observation: Observation, allowed: Array) -> Array:
        """u, or what the guard makes of it."""
        if self.robot.interface == "effort":
            excess = (self._signs * observation.qd - allowed) / self._band + 1.0
            if excess.max() <= 0.0:
                return u
            up, down = np.minimum(np.maximum(excess, 0.0), 1.0)
            return u + self._braking * (down - up)
        up, down = allowed
        if self.robot.interface == "velocity":
            most = self._acceleration * self.dt
            guarded = _within(_within(u, self._previous - most, self._previous + most), -down, up)
        else:
            most = self._acceleration * self.dt**2
            step = _within(u - self._previous, self._last_step - most, self._last_step + most)
            guarded = self._previous + _within(step, -down * self.dt, up * self.dt)
        return guarded if np.abs(guarded - u).max() > ROUNDING else u

    def _limited(self, u: Array, reasons: int, steady: bool = True) -> Command:
        """u inside the box and within reach of the previous command; never anything that is not finite."""
        previous = self._previous
        near = _within(u, np.maximum(self._lower, previous - self._largest_step),
                       np.minimum(self._upper, previous + self._largest_step))
        if not np.isfinite(near).all():
            near = previous
        if (near != u).any():
            outside = ((u < self._lower) | (u > self._upper)).any()
            reasons |= Reason.LIMIT if outside else Reason.RATE
        self._last_step, self._previous = near - previous, near
        if steady and self.settings.safe_effort == "hold":
            self._anchor = None
            self._steady = self._steady + min(1.0, self.dt / self.settings.steady_time) * (near - self._steady)
        return Command(near, self.state, Reason(reasons))


def _within(u: Array, lower: Array, upper: Array) -> Array:
    return np.minimum(np.maximum(u, lower), upper)  # five times as fast as np.clip for a few joints


_BOUNDS: dict[int, float] = {}


def _bound(dof: int) -> float:
    """The 95 % bound of a NIS with `dof` degrees of freedom."""
    if dof not in _BOUNDS:
        _BOUNDS[dof] = float(chi2.ppf(0.95, dof))
    return _BOUNDS[dof]
