"""The supervisor: the controller's requested command becomes an applied command only here.

Its state (state_machine.py) decides whether the controller's command or the safe one (safe_command.py) is next. The
limiter (command_limiter.py) then makes it finite, inside every limit and within reach of the last command. No clock is
read: time passes by ticks and by the ages that are given.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from ..config.sections.safety import SupervisorSettings
from ..robots import Robot
from ..types import Array, Decision, DecisionStatus, Observation
from .collision_rule import CollisionRule
from .command import Command
from .compiled_limiter import make_limiter
from .fault_watch import FaultWatch
from .safe_command import SafeCommand
from .state_machine import GRANTED, PLANNER, TABLE, UNUSABLE, Condition, Guard, Reason, Request, State, Trigger

# to look a member of an enumeration up takes a call in Python 3.11: what every tick needs
_HOLD, _RAMP_IN, _DEGRADED, _STOPPED = State.HOLD, State.RAMP_IN, State.DEGRADED, (State.FAULT, State.E_STOP)
_OVERRIDDEN, _FAILED = (Guard.ACTS, Guard.SILENT), DecisionStatus.PLANNER_FAILED
_NO_REASON, _NOT_FOLLOWING = Reason.NONE, int(Reason.NOT_FOLLOWING)
_LEFT_WHEN_NOMINAL = tuple(state for state in State if TABLE[state, Condition.NOMINAL] is not state)
PROBING, PROBING_TIME = 0.1, 0.01  # of the speed limit; [s] at the speed limit that a position command is ahead


class Supervisor:
    """Filters the commands of one control loop with the period `dt` [s].

    `state` and `cause`, the reason of its last change, may be read at any time from any thread. `held_by_guard`
    is the command (n,) with which the guard holds the arm at rest, None where it does not.
    """

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float, collisions: CollisionRule | None = None):
        self.robot, self.settings, self.dt, self.collisions = robot, settings, dt, collisions
        lost, inconsistent = int(Reason.MODEL_LOST), int(Reason.MODEL_INCONSISTENT)
        self._ignored_warnings = {"hold": 0, "degrade": lost, "ignore": lost | inconsistent}[settings.on_inconsistency]
        self.limiter, self.safe = make_limiter(robot, settings, dt), SafeCommand(robot, settings, dt)
        limiter = self.limiter
        self._limit = limiter.limit if collisions is None else functools.partial(collisions.limit, limiter)
        self._rest = self.safe.command if robot.interface == "effort" else self.limiter.stopping
        self._watch = FaultWatch(robot, settings, dt)
        self._ramp_time = settings.ramp_time_effort if robot.interface == "effort" else settings.ramp_time
        self.state, self.cause = State.HOLD, Reason.NONE
        self._guard = Guard.FORWARDS  # also where there is none
        self.held_by_guard: Array | None = None
        self._begun = False  # whether the first tick or request has been
        self._recovering = self._held = False  # whether decisions were missing, or not used because of HELD
        self._safe_acts = False  # whether the last command was the safe one
        # whether the robot is not known to follow: it is moved slowly, and a position command stays near it
        self._probing, self._near = False, PROBING_TIME * robot.velocity_limit
        self._continuing = False  # whether the controller's commands go on after an interruption
        self._nominal_ticks, self._ramp = 0, 0.0  # ticks without a warning; share of the ramp that is over
        self.reset(None)

    def reset(self, observation: Observation | None) -> None:
        """Start anew in HOLD: the robot is at `observation` (None: unknown) and no command is in effect."""
        rest = np.zeros(self.robot.n)
        if self.robot.interface == "position" and observation is not None:
            rest = np.where(np.isfinite(observation.q), observation.q, self.limiter.previous)
        self.limiter.reset(rest)
        self.safe.reset(self.limiter.previous)
        self.state, self.cause, self._nominal_ticks, self._ramp = State.HOLD, Reason.NONE, 0, 0.0
        self._begun = self._recovering = self._held = self._safe_acts = self._continuing = self._probing = False
        self._watch.reset()
        if self.collisions is not None:
            self.collisions.reset()

    def forget_inertia(self) -> None:
        """Forget what was learned of the arm's inertia, as after a start of the process."""
        self.safe.forget_inertia()

    @property
    def resuming(self) -> bool:
        """Whether states or decisions were missing: the controller then begins again at the robot's present state."""
        return self._recovering and not self._held

    @property
    def rejoining(self) -> bool:
        """Whether the safe command acts on a robot that the controller watches: a motion goes on from where it is."""
        return self._held or self.state is _RAMP_IN

    @property
    def unready(self) -> str:
        """Why this robot may not be commanded at all, '' if it may."""
        return self.safe.unready

    @property
    def refusal(self) -> str:
        """Why no target may be accepted now, '' if one may: no target waits to start by surprise after ~/resume."""
        if self.state in (State.FAULT, State.E_STOP):
            return f"the state is {self.state.name}; call ~/clear, then ~/resume first"
        if self.state is State.HOLD and (self._begun or self.settings.start == "hold"):
            return "the arm holds; call ~/resume first"
        return ""

    # --- requests -------------------------------------------------------------------------------------------------

    def request(self, request: Request, observation: Observation | None = None) -> bool:
        """Handle what somebody asks for; return whether the state is now the one asked for.

        CLEAR is refused while the cause of the fault lasts: `observation` is the present state, None if there is none.
        """
        if request is Request.CLEAR and (
            observation is None or self._watch.overspeed(observation) or self._guard is Guard.LOST
        ):
            return False
        self._begun = True
        self._trigger(request, Reason.REQUESTED)
        return self.state in GRANTED[request]

    # --- ticks ----------------------------------------------------------------------------------------------------

    def filter(self, decision: Decision, observation: Observation, warnings: Reason = Reason.NONE) -> Command:
        """Return the applied command for a decision of the controller.

        Parameters
        ----------
        decision
            what the controller made of `observation`.
        observation
            the present state, with the velocities that the controller admits.
        warnings
            what the caller has found: FEATURES, MODEL_INCONSISTENT, MODEL_LOST, LATE, TOO_LATE, LOOP_....
        """
        self._leave_hold_at_start()
        self.safe.update_inertia(decision.inertia, decision.rotors)
        reasons = int(warnings) & ~self._ignored_warnings
        finite = all(map(math.isfinite, decision.u.tolist()))
        if not finite:
            reasons |= int(Reason.NOT_FINITE)
        if decision.status is _FAILED:
            reasons |= PLANNER
        if self.collisions is not None:
            reasons |= self.collisions.judge(decision, observation, self.limiter.previous, self.safe.arrest)
        failed = not finite or bool(reasons & PLANNER)
        if self._guard in _OVERRIDDEN:
            reasons |= int(Reason.GUARD)
        unusable = not finite or bool(reasons & UNUSABLE)
        if self._stopped(observation, failed, failed or unusable, reasons):
            return self._safe(observation, reasons | int(self.cause))
        if unusable:
            self._stale(Reason(reasons))
            self._held = not failed and not reasons & (Reason.TOO_LATE | Reason.GUARD)
            return self._safe(observation, reasons)
        reasons |= self._watch.limit_warnings(*self.limiter.watch(observation.q))
        self._judge(reasons)
        self._probing = bool(reasons & _NOT_FOLLOWING)
        return self._limited(self._requested(decision.u, observation), observation, reasons)

    def between(self, u: Array, observation: Observation, share: float) -> Command:
        """Return the applied command for u (nu,), requested between two ticks for a `share` of a period.

        The state does not change.
        """
        return self._limited(u, observation, 0, share)

    def failed(self, observation: Observation) -> Command:
        """Return the safe command where the controller raised an error instead of deciding."""
        self._leave_hold_at_start()
        if not self._stopped(observation, True, True, Reason.CONTROLLER_ERROR):
            self._stale(Reason.CONTROLLER_ERROR)
        return self._safe(observation, Reason.CONTROLLER_ERROR)

    def stale(self, age: float) -> Command:
        """Return the safe command where the newest state is `age` [s] old, more than the time-out."""
        if age > self.settings.stale_limit:
            self._trigger(Condition.FAULT, Reason.STALE_STATE)
        self._stale(Reason.STALE_STATE)
        return self._safe(None, Reason.STALE_STATE)

    def interrupted(self, cause: Reason, observation: Observation, command: Array) -> Array:
        """Let the ramp begin again after the next decision; see `CommandSupervisor`."""
        if cause & Reason.NOT_FOLLOWING:
            command = self.limiter.start_at(observation)
        elif not self._safe_acts:
            self.limiter.begin_stopping()
            self._continuing = self.state in (State.ACTIVE, State.DEGRADED)
        self._stale(cause)
        return command

    def override(self, guard: Guard, command: Array | None = None, speed: Array | None = None) -> None:
        """Take note of what the guard does: `command` (n,) holds the arm, or brakes it from its `speed` (n,) [1/s].

        While it acts or is silent, the safe command is returned; then the controller begins as after missing states.
        """
        self._guard = guard
        self.held_by_guard = command if guard is Guard.ACTS and speed is None else None
        if guard is Guard.SILENT and not self._safe_acts:
            self._continuing = self.state in (State.ACTIVE, State.DEGRADED)
        if command is not None:
            self.limiter.reset(command, speed)
            if speed is None:
                self.safe.reset(self.limiter.previous)
        if guard in (Guard.ACTED_TOO_LONG, Guard.LOST):
            self._trigger(Condition.FAULT, Reason.GUARD)
        self._stale(Reason.GUARD)

    def stop(self, observation: Observation | None, reason: Reason = Reason.STOPPING) -> Command:
        """Return the safe command at once, whatever the state.

        STOPPING: no other will follow, so it is the one for an arm that has come to rest.
        """
        if reason is Reason.STOPPING:
            if self.safe.arrest is not None:
                observation = None  # braking that nothing ends would reverse the motion
            self._safe_acts = False
            if self.robot.interface != "effort":
                self.limiter.stay()
        return self._safe(observation, reason)

    # --- the state ------------------------------------------------------------------------------------------------

    def _trigger(self, trigger: Trigger, cause: Reason) -> None:
        after = TABLE[self.state, trigger]
        if after is not self.state:
            if self.state is State.RAMP_IN:
                self.safe.restart()
            self.state, self.cause = after, cause
            self._ramp, self._nominal_ticks = 0.0, 0
            self._watch.state_changed(after)
            if after is State.HOLD:
                self.limiter.begin_stopping()

    def _leave_hold_at_start(self) -> None:
        if not self._begun:
            self._begun = True
            if self.settings.start == "active":
                self._trigger(Request.RESUME, Reason.NONE)

    def _stale(self, cause: Reason) -> None:
        self._recovering, self._held = True, False
        self._trigger(Condition.STALE, cause)

    def _stopped(self, observation: Observation, failed: bool, unusable: bool, reasons: int) -> bool:
        """Update faults and recovery; return whether nothing but the safe command may go out."""
        faults = self._watch.faults(observation, failed, reasons)
        if faults:
            self._trigger(Condition.FAULT, Reason(faults))
        if self._recovering and not unusable:
            self._recovering = self._held = False
            self._trigger(Condition.RECOVERED, self.cause)
            if self._continuing and self.state is State.RAMP_IN and self.limiter.moving():
                self._ramp = 1.0  # its reference begins with this motion: to stop it first would be a step
            self._continuing = False
        return self.state in _STOPPED

    def _judge(self, warnings: int) -> None:
        """Advance the ramp and the time without a warning."""
        if self.state is _RAMP_IN:
            self._ramp = 1.0 if self._ramp_time <= 0.0 else min(1.0, self._ramp + self.dt / self._ramp_time)
            if self._ramp >= 1.0:
                self._trigger(Condition.RAMPED, self.cause)
        if warnings:
            self._nominal_ticks = 0
            self._trigger(Condition.WARNING, Reason(warnings))
        else:
            self._nominal_ticks += 1
            if self.state in _LEFT_WHEN_NOMINAL and self._nominal_ticks * self.dt >= self.settings.nominal_after:
                self._trigger(Condition.NOMINAL, Reason.NONE)

    # --- the command ----------------------------------------------------------------------------------------------

    def _requested(self, u: Array, observation: Observation) -> Array:
        """Return the controller's command as far as the state lets it through."""
        if self.state is _HOLD:
            # An effort that holds comes from the controller, whose target is then to stay; the others come to rest.
            return u if self.robot.interface == "effort" else self.limiter.stopping(observation)
        if self.state is _RAMP_IN:
            weight = self._ramp**2 * (3.0 - 2.0 * self._ramp)
            rest = self._rest(observation)
            return np.asarray(rest + weight * (u - rest))
        return u

    def _limited(self, requested: Array, observation: Observation, reasons: int, share: float = 1.0) -> Command:
        slower = self.settings.degraded_speed if self.state is _DEGRADED else 1.0
        if self._probing:
            slower = min(slower, PROBING)
        near = self._near if self._probing and self.robot.interface == "position" else None
        u, limits = self._limit(requested, observation, slower, near, share)
        self._safe_acts = False
        self.safe.applied(u, observation, share, ends=self.state is not _RAMP_IN)
        why = reasons | limits
        return Command(u, self.state, Reason(why) if why else _NO_REASON)

    def _safe(self, observation: Observation | None, reasons: int) -> Command:
        if not self._safe_acts:
            self._safe_acts = True
            self.limiter.begin_stopping()
        safe = self._rest(observation)
        u, limits = self.limiter.limited(safe)
        return Command(u, self.state, Reason(reasons | limits))
