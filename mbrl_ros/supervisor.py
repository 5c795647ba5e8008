"""The envelope no command leaves: what the controller wishes for becomes a command only through here.

For joint i with command box [l_i, h_i], previous command p_i and rate r (h_i - l_i) per tick,

    u_i in [l_i, h_i]  and  |u_i - p_i| <= r (h_i - l_i).

Before a stop at distance d_i the speed towards it may be at most v_i = min(c v_max_i, sqrt(2 a_i d_i)): what the
deceleration a_i stops in time. Above it the guard brakes an effort command, clips a velocity command, and limits the
step of a position command to what v_i covers in a tick.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from .robots import Robot
from .settings import SupervisorSettings, per_joint
from .types import Array, Decision, DecisionStatus, Observation

GUARD_BAND = 0.05  # fraction of the velocity limit over which the guard fades in


class State(enum.IntEnum):
    """Codes in the status topic. HOLD and FAULT send the safe command."""

    HOLD = 0
    RAMP_IN = 1
    ACTIVE = 2
    DEGRADED = 3
    FAULT = 4
    E_STOP = 5


class Reason(enum.IntFlag):
    """Why a command is not the one that was wished for; several may hold at once."""

    NONE = 0
    NOT_FINITE = 1
    LIMIT = 2
    RATE = 4
    SPEED = 8
    PLANNER = 16
    STALE_STATE = 32
    CONTROLLER_ERROR = 64
    STOPPING = 128


@dataclass(frozen=True, eq=False, slots=True)
class Command:
    """u (nu,), finite and inside every limit; the supervisor's state, and why u is not what was wished for."""

    u: Array
    state: State
    reasons: Reason = Reason.NONE


class Supervisor:
    """One per control loop. dt [s] is the period."""

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self.robot, self.settings, self.dt = robot, settings, dt
        self._lower, self._upper = robot.command_lower, robot.command_upper
        self._largest_step = settings.command_rate * (self._upper - self._lower)
        self._fastest = settings.speed_guard * robot.velocity_limit
        self._band = GUARD_BAND * robot.velocity_limit
        self._deceleration = settings.stop_deceleration * robot.acceleration_limit
        self._damping = per_joint(settings.damping, robot.n, "supervisor.damping")
        self.reset(None)

    def reset(self, observation: Observation | None) -> None:
        """Start anew: the robot is at `observation` (None: unknown) and no command is in effect."""
        rest = np.zeros(self.robot.n)
        if self.robot.interface == "position" and observation is not None:
            rest = observation.q
        self._previous = np.clip(rest, self._lower, self._upper)
        self._failed_plans = 0

    def filter(self, decision: Decision, observation: Observation) -> Command:
        """The command for `decision`, made from `observation`."""
        self._failed_plans = self._failed_plans + 1 if decision.status is DecisionStatus.PLANNER_FAILED else 0
        if self._failed_plans > self.settings.max_failed_plans:
            return self.safe(observation, Reason.PLANNER)
        if not np.isfinite(decision.u).all():
            return self.safe(observation, Reason.NOT_FINITE)
        u, reasons = self._guarded(decision.u, observation)
        return self._limited(u, State.ACTIVE, reasons)

    def safe(self, observation: Observation | None, reason: Reason) -> Command:
        """The safe command: stand still (velocity), stay (position), damp or let go (effort).

        `observation` is the present state, or None if it is not known: damping needs it.
        """
        if self.robot.interface == "position":
            u = self._previous
        elif self.robot.interface == "effort" and observation is not None and self.settings.safe_effort == "damp":
            u = -self._damping * observation.qd
        else:
            u = np.zeros(self.robot.n)
        return self._limited(np.where(np.isfinite(u), u, 0.0), State.FAULT, reason)

    def speed_bounds(self, q: Array) -> tuple[Array, Array]:
        """The velocities (lower (n,), upper (n,)) allowed at q (n,), by the limits and the distance to the stops."""
        robot = self.robot
        down = np.sqrt(2.0 * self._deceleration * np.maximum(q - robot.position_lower, 0.0))
        up = np.sqrt(2.0 * self._deceleration * np.maximum(robot.position_upper - q, 0.0))
        return -np.minimum(self._fastest, down), np.minimum(self._fastest, up)

    def _guarded(self, u: Array, observation: Observation) -> tuple[Array, Reason]:
        slowest, fastest = self.speed_bounds(observation.q)
        if self.robot.interface == "velocity":
            guarded = np.clip(u, slowest, fastest)
        elif self.robot.interface == "position":
            guarded = np.clip(u, self._previous + slowest * self.dt, self._previous + fastest * self.dt)
        else:
            over = np.clip((observation.qd - fastest) / self._band + 1.0, 0.0, 1.0)
            under = np.clip((slowest - observation.qd) / self._band + 1.0, 0.0, 1.0)
            guarded = u + self.settings.guard_effort * self.robot.effort_limit * (under - over)
        return guarded, Reason.NONE if np.array_equal(guarded, u) else Reason.SPEED

    def _limited(self, u: Array, state: State, reasons: Reason) -> Command:
        """u inside the box and within reach of the previous command."""
        inside = np.clip(u, self._lower, self._upper)
        if not np.array_equal(inside, u):
            reasons |= Reason.LIMIT
        near = np.clip(inside, self._previous - self._largest_step, self._previous + self._largest_step)
        if not np.array_equal(near, inside):
            reasons |= Reason.RATE
            near = np.clip(near, self._lower, self._upper)
        self._previous = near
        return Command(near, state, reasons)
