"""What the controller wishes for becomes a command only through here.

The state (safety/state_machine.py) decides whether the controller's command or the safe one is next; the limiter
(safety/command_limiter.py) then sees to it that it is finite, inside every limit and within reach of the last command. No clock is
asked: time passes by ticks and by the ages given.

The safe command: stand still (velocity interface), stay (position), and for efforts come to rest and carry the arm
(safety/arrest.py), or nothing, damping -d qd, damping and the URDF's gravity, g(q) - d qd, or damping and stiffness about the
average of the last commands, u_mean - d qd + k (q0 - q).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config.section import per_joint
from ..config.sections.safety import SupervisorSettings
from ..robots import Robot
from ..types import Array, Decision, DecisionStatus, Observation
from .arrest import Arrest
from .command_limiter import CommandLimiter
from .state_machine import TABLE, Event, Reason, State

DAMPING = 0.05  # share of the effort limit that damps a joint at its velocity limit
GRANTED = {
    Event.HOLD: {State.HOLD},
    Event.RESUME: {State.RAMP_IN, State.ACTIVE, State.DEGRADED},
    Event.CLEAR: set(State) - {State.FAULT, State.E_STOP},
    Event.E_STOP: {State.E_STOP},
}


@dataclass(frozen=True, eq=False, slots=True)
class Command:
    """u (nu,), finite and inside every limit; the supervisor's state, and why u is not what was wished for."""

    u: Array
    state: State
    reasons: Reason = Reason.NONE


class Supervisor:
    """One per control loop. dt [s] is the period. `state` and `cause` (of the last change) may be read at any time."""

    def __init__(self, robot: Robot, settings: SupervisorSettings, dt: float):
        self.robot, self.settings, self.dt = robot, settings, dt
        self._heeded = ~{
            "hold": Reason.NONE,
            "degrade": Reason.MODEL_LOST,
            "ignore": Reason.MODEL_LOST | Reason.MODEL_INCONSISTENT,
        }[settings.on_inconsistency]
        self.limiter = CommandLimiter(robot, settings, dt)
        self._overspeed = settings.overspeed * robot.velocity_limit
        # More would shake a joint with little inertia: a damping of inertia / period is too much after one tick of delay.
        self._damping = (
            per_joint(settings.damping, robot.n, "supervisor.damping")
            if settings.damping
            else DAMPING * robot.effort_limit / robot.velocity_limit
        )
        self._stiffness = per_joint(settings.stiffness, robot.n, "supervisor.stiffness")
        self.arrest = (
            Arrest(robot, settings, dt) if robot.interface == "effort" and settings.safe_effort == "arrest" else None
        )
        self._gravity = None
        if robot.interface == "effort" and settings.safe_effort == "gravity":
            from ..robots.rigid_body import gravity  # needs adam-robotics

            self._gravity = gravity(robot)
        self._ramp_time = settings.ramp_time_effort if robot.interface == "effort" else settings.ramp_time
        self.reset(None)

    def reset(self, observation: Observation | None) -> None:
        """Start anew in HOLD: the robot is at `observation` (None: unknown) and no command is in effect."""
        rest = np.zeros(self.robot.n)
        if self.robot.interface == "position" and observation is not None:
            rest = observation.q
        self.limiter.reset(rest)
        self._steady = self.limiter.previous  # the commands of the recent past, averaged
        self._anchor: Array | None = None  # the pose the safe command stiffens about
        self._weight = np.zeros(self.robot.n)  # g(q) of the last pose known
        if self.arrest is not None:
            self.arrest.reset(self.limiter.previous)
        self.state, self.cause = State.HOLD, Reason.NONE
        self._begun = self._outage = False
        self._failures = self._fine_ticks = self._saturated_ticks = 0
        self._ramp = 0.0

    @property
    def resuming(self) -> bool:
        """Whether the next decision follows an outage: the controller should begin again from where the robot is."""
        return self._outage

    @property
    def unready(self) -> str:
        """Why this robot may not be commanded at all, '' if it may."""
        if self.arrest is None or self.arrest.ready:
            return ""
        return (
            "the safe command 'arrest' needs the inertia of the arm: the URDF has no usable <inertial> for every controlled "
            "joint; add mass and inertia to the links, or choose another "
            "supervisor.safe_effort (zero, damp, hold)"
        )

    @property
    def refusal(self) -> str:
        """Why no target may be accepted now, '' if one may: none waits to be followed by surprise after ~/resume."""
        if self.state in (State.FAULT, State.E_STOP):
            return f"the state is {self.state.name}; call ~/clear, then ~/resume first"
        if self.state is State.HOLD and (self._begun or self.settings.start == "hold"):
            return "the arm holds; call ~/resume first"
        return ""

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
        """The command for `decision`, made from `observation`. `doubts`: what the caller has found (FEATURES, TRUST,
        MODEL_LOST, LATE, TOO_LATE).
        """
        self._begin_if_wanted()
        if self.arrest is not None and decision.inertia is not None:
            self.arrest.believe(decision.inertia, decision.rotors)
        reasons = int(doubts & self._heeded)
        usable = bool(np.isfinite(decision.u).all())
        if not usable:
            reasons |= Reason.NOT_FINITE
        if decision.status is DecisionStatus.PLANNER_FAILED:
            reasons |= Reason.PLANNER
        failed = not usable or bool(reasons & Reason.PLANNER)
        out = not usable or bool(reasons & (Reason.MODEL_LOST | Reason.TOO_LATE))
        if self._lost(observation, failed, failed or out, reasons):
            return self._safe(observation, reasons | self.cause)
        if out:
            self._happen_outage(Reason(reasons))
            return self._safe(observation, reasons)
        room = self.limiter.room(observation.q)
        reasons |= self._doubts(room)
        self._judge(reasons)
        wish = self._chosen(decision.u, observation)
        return self._enveloped(wish, observation, room, reasons)

    def between(self, u: Array, observation: Observation, share: float) -> Command:
        """The command for u (nu,), wished for between two ticks and lasting a `share` of a period. No event follows."""
        return self._enveloped(u, observation, self.limiter.room(observation.q), 0, share)

    def failed(self, observation: Observation) -> Command:
        """The controller raised an error instead of deciding."""
        self._begin_if_wanted()
        if not self._lost(observation, True, True, Reason.CONTROLLER_ERROR):
            self._happen_outage(Reason.CONTROLLER_ERROR)
        return self._safe(observation, Reason.CONTROLLER_ERROR)

    def silent(self, age: float) -> Command:
        """No state has come; the newest one is `age` [s] old, more than the time-out."""
        if age > self.settings.longest_outage:
            self._happen(Event.TROUBLE, Reason.STALE_STATE)
        self._happen_outage(Reason.STALE_STATE)
        return self._safe(None, Reason.STALE_STATE)

    def interrupted(self, cause: Reason) -> None:
        """What is seen now does not continue what was seen before: after the next decision the ramp begins again."""
        self._happen_outage(cause)

    def stop(self, observation: Observation | None, reason: Reason = Reason.STOPPING) -> Command:
        """The safe command, at once, whatever the state. STOPPING: no other will follow."""
        if reason is Reason.STOPPING and self.arrest is not None:
            observation = None  # braking that nobody ends would turn the motion around
        return self._safe(observation, reason)

    # --- the state --------------------------------------------------------------------------------------------------

    def _happen(self, event: Event, cause: Reason) -> None:
        after = TABLE[self.state, event]
        if after is not self.state:
            if self.state is State.RAMP_IN and self.arrest is not None:
                self.arrest.begin()
            self.state, self.cause = after, cause
            self._ramp, self._fine_ticks, self._saturated_ticks = 0.0, 0, 0
            if after is State.HOLD:
                self._failures = 0
                self.limiter.begin_stopping()

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

    def _lost(self, observation: Observation, failed: bool, out: bool, reasons: int) -> bool:
        """Whether the state is, or now becomes, one in which nothing but the safe command goes out."""
        self._failures = self._failures + 1 if failed else 0
        trouble = self._trouble(observation)
        if self._failures > self.settings.max_failed_plans:
            trouble |= reasons
        if trouble:
            self._happen(Event.TROUBLE, Reason(trouble))
        if self._outage and not out:
            self._outage = False
            self._happen(Event.RETURN, self.cause)
        return self.state in (State.FAULT, State.E_STOP)

    def _doubts(self, room: Array) -> int:
        doubts = 0
        if room.min() < 0.0:
            doubts |= Reason.OUTSIDE
        if self.robot.interface != "position":
            self._saturated_ticks = self._saturated_ticks + 1 if self.limiter.saturated() else 0
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
            # An effort that holds comes from the controller, whose target is then to stay; the others come to rest.
            return u if self.robot.interface == "effort" else self.limiter.stopped()
        if self.state is State.RAMP_IN:
            weight = self._ramp**2 * (3.0 - 2.0 * self._ramp)
            rest = self._resting(observation) if self.robot.interface == "effort" else self.limiter.stopped()
            return rest + weight * (u - rest)
        return u

    def _enveloped(
        self, wish: Array, observation: Observation, room: Array, reasons: int, share: float = 1.0
    ) -> Command:
        slower = self.settings.degraded_speed if self.state is State.DEGRADED else 1.0
        u = self.limiter.guarded(wish, observation, self.limiter.allowed_speed(room, slower), share)
        if u is not wish:
            reasons |= Reason.SPEED
        u, limits = self.limiter.limited(u, share)
        if self.arrest is not None:
            self.arrest.follow(u, share, release=self.state is not State.RAMP_IN)
        if self.settings.safe_effort == "hold":
            self._anchor = None
            self._steady = self._steady + min(1.0, share * self.dt / self.settings.steady_time) * (u - self._steady)
        return Command(u, self.state, Reason(reasons | limits))

    def _safe(self, observation: Observation | None, reasons: int) -> Command:
        self.limiter.begin_stopping(speed=False)
        u, limits = self.limiter.limited(self._resting(observation))
        return Command(u, self.state, Reason(reasons | limits))

    def _resting(self, observation: Observation | None) -> Array:
        """The safe command before the limiter. Damping needs to know the velocity."""
        if self.robot.interface == "position":
            return self.limiter.previous
        if self.robot.interface == "velocity" or self.settings.safe_effort == "zero":
            return np.zeros(self.robot.n)
        if self.arrest is not None:
            return self.arrest.blind() if observation is None else self.arrest.command(observation)
        damping = np.zeros(self.robot.n) if observation is None else -self._damping * observation.qd
        if self.settings.safe_effort == "damp":
            return damping
        if self._gravity is not None:
            if observation is not None:
                self._weight = np.array(self._gravity(observation.q)).ravel()
            return self._weight + damping
        if observation is None:
            return self._steady
        if self._anchor is None:
            self._anchor = np.array(observation.q)
        return self._steady + damping + self._stiffness * (self._anchor - observation.q)
