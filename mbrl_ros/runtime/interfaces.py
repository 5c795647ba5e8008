"""What the runtime asks of its surroundings: outputs, a clock, the conditions of a tick, and a supervisor.

One period dt [s] of control, for the observation x_k stamped t_k:

    (q, qd)_k -> controller.step -> u_hat_k -> supervisor.filter -> u_k -> outputs.command
                                                                     `-> controller.record(t_k + floor(l) dt, u_k)

l is the lateness of the command in periods. The controller's interface is controllers/base.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..config.sections.safety import SupervisorSettings
from ..safety.collision_rule import CollisionRule
from ..safety.command import Command
from ..safety.state_machine import Guard, Reason, Request, State
from ..types import Array, Decision, Observation, quick_init
from .event_log import Event
from .mailbox import Arrival


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Tick:
    """What happened in one tick.

    Parameters
    ----------
    index
        counts the ticks, from 1.
    observation
        the state that the command answers, with the feature frames that came with it.
    decision
        the controller's; None: there was none.
    command
        the applied command and the supervisor's state.
    compute
        time from the start of the tick until its command was computed [s].
    latency
        time from the arrival of the state until its command was published [s]; without a decision the state's age.
    period
        time since the last command was published [s]; NaN for the first.
    missed
        how many ticks have been missed until now.
    number
        number of the command, counted from 1; commands between ticks count too.
    late
        periods by which the command came too late; it acts from whole ones later on.
    frame
        stamp of the newest features used until now [s]; NaN: none.
    targets
        how many targets had been accepted.
    """

    index: int
    observation: Observation
    decision: Decision | None
    command: Command
    compute: float
    latency: float
    period: float
    missed: int
    number: int = 0
    late: float = 0.0
    frame: float = float("nan")
    targets: int = 0


class Outputs(Protocol):
    """Where the results of a tick go. The command leaves first, everything else after it."""

    def command(self, stamp: float, u: Array) -> None:
        """Send the command u (nu,), in the robot's joint order, which answers the state stamped `stamp` [s]."""

    def tick(self, tick: Tick) -> None:
        """Publish everything else about a tick."""

    def event(self, event: Event) -> None:
        """Record what was done to the controller between two commands."""

    def log(self, level: str, text: str) -> None:
        """Log `text`; `level` is "info", "warning" or "error"."""


class Clock(Protocol):
    """The times a control loop needs.

    Deadlines are set in the time of the robot, which is simulated time where there is a simulation and may stand still.
    How long something takes is measured with the processor's monotonic clock.
    """

    def now(self) -> float:
        """Return the time of deadlines [s]."""

    def elapsed(self) -> float:
        """Return the processor's monotonic time [s], in which arrivals are stamped (time.perf_counter)."""

    def age(self) -> float:
        """Return the age of the newest state by its stamp [s]; infinite before the first."""

    def stands(self) -> bool:
        """Whether the time of deadlines stands still, or has not begun, by the processor's clock."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` [s] of the processor's time."""


class TickConditions(Protocol):
    """What a tick depends on besides its state: when its command leaves and what acts; live or as it was recorded."""

    def wait_to_answer(self, arrival: Arrival) -> None:
        """Wait until the computed command for `arrival` may leave."""

    def lateness(self, arrival: Arrival) -> float:
        """Return by how many periods the command just published for `arrival` came too late, at least 0."""

    def applied(self, arrival: Arrival, u: Array) -> Array:
        """Return the command (nu,) that acts after `u` (nu,) was published for `arrival`."""

    def state_is_recent(self) -> bool:
        """Return whether the newest state is recent enough to act on."""

    def published(self) -> None:
        """Take note that a command was sent."""

    def interruption(self, arrival: Arrival) -> Reason:
        """Return what a clock has found to interrupt the ticks before `arrival`: a leap, or a time without commands."""

    def restart(self) -> None:
        """Begin a new time line: stamps do not continue those seen before."""


class CommandSupervisor(Protocol):
    """What the control cycle asks of its supervisor; see safety/supervisor.py."""

    state: State
    cause: Reason
    held_by_guard: Array | None
    collisions: CollisionRule | None

    @property
    def settings(self) -> SupervisorSettings:
        """Its limits, of which the cycle uses those of lateness."""

    @property
    def resuming(self) -> bool:
        """Whether the next decision follows missing states or decisions."""

    @property
    def rejoining(self) -> bool:
        """Whether something else than the controller's command acts, which the controller sees act."""

    @property
    def unready(self) -> str:
        """Why this robot may not be commanded at all, '' if it may."""

    @property
    def refusal(self) -> str:
        """Why no target may be accepted now, '' if one may."""

    def reset(self, observation: Observation | None) -> None:
        """Start anew; None: the robot's state is unknown."""

    def forget_inertia(self) -> None:
        """Forget what was learned of the arm's inertia."""

    def request(self, request: Request, observation: Observation | None = None) -> bool:
        """Handle a request; return whether it was granted."""

    def filter(self, decision: Decision, observation: Observation, warnings: Reason = Reason.NONE) -> Command:
        """Return the applied command for a decision."""

    def between(self, u: Array, observation: Observation, share: float) -> Command:
        """Return the applied command for u (nu,), requested for a `share` of a period."""

    def failed(self, observation: Observation) -> Command:
        """Return the command after an error of the controller."""

    def stale(self, age: float) -> Command:
        """Return the command where the newest state is `age` [s] old."""

    def interrupted(self, cause: Reason, observation: Observation, command: Array) -> Array:
        """Let the ramp begin again after the next decision; return the command (nu,) that is in effect from now on.

        That is `command`, the one before; NOT_FOLLOWING: the one of the measured motion.
        """

    def override(self, guard: Guard, command: Array | None = None, speed: Array | None = None) -> None:
        """Take note of what the guard does; `command` (nu,) holds the arm, or changed by `speed` (nu,) [1/s]."""

    def stop(self, observation: Observation | None, reason: Reason = Reason.STOPPING) -> Command:
        """Return the safe command at once."""
