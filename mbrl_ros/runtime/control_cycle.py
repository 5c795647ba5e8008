"""The control cycle: everything one tick does, without a thread and without deadlines.

    prepare   reset or resume the controller at the robot's state, or record what acted during the last period
    decide    decision = controller.step(observation), command = supervisor.filter(decision, observation, warnings)
    publish   outputs.command(stamp, u), no earlier than the conditions allow
    record    tell the controller what acts from when on, and give its plan to the feedback player

The control loop (control_loop.py) calls it from its thread, a replay for every recorded state. How late a command came,
what acted and whether the state is recent it asks its `TickConditions`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..controllers.base import Controller
from ..safety.command import Command
from ..safety.state_machine import Reason, Request, State
from ..types import Array, Decision, Observation
from .applied_commands import AppliedCommands
from .error_report import ErrorReport
from .event_log import Event
from .feedback_player import FeedbackPlayer
from .interfaces import CommandSupervisor, Outputs, Tick, TickConditions
from .interruptions import Interruptions
from .loop_watch import LoopWatch
from .mailbox import Arrival
from .statistics import LoopStatistics
from .warnings import warnings_of


class ControlCycle:
    """The ticks of one controller.

    Parameters
    ----------
    controller, supervisor, outputs, conditions
        the parts of a tick; see controllers/base.py and interfaces.py.
    dt
        the control period [s].
    timeout
        once the newest state is older than this [s], the safe command goes out.
    lockstep
        every state gets exactly one command.
    player, player_period
        answers states between two ticks, for how long [s] each of its commands holds; None: they are not answered.
    """

    def __init__(
        self,
        controller: Controller,
        supervisor: CommandSupervisor,
        outputs: Outputs,
        conditions: TickConditions,
        *,
        dt: float,
        timeout: float,
        lockstep: bool = False,
        player: FeedbackPlayer | None = None,
        player_period: float | None = None,
    ):
        self.controller, self.supervisor, self.outputs = controller, supervisor, outputs
        self.statistics = LoopStatistics()
        self._report_error = ErrorReport(self.statistics.events, outputs.log)
        self._conditions, self._timeout, self._lockstep = conditions, timeout, lockstep
        self._applied = AppliedCommands(
            controller, conditions, supervisor.settings, dt, player, player_period, self.statistics.events
        )
        self._interruptions = Interruptions(controller, dt, timeout)
        self.loop_watch = LoopWatch(controller, supervisor, self._applied, dt)
        self.age, self._number = self._applied.age, 0  # number: of the last command
        self._observation: Observation | None = None  # the newest one, with the velocities that the controller admits
        self._last_command: tuple[float, Array] | None = None
        self._in_effect: Array = np.zeros(controller.robot.n)
        self._beginning = True
        self._newest_frame, self._published = float("nan"), 0.0  # stamp; when the last command left [s]
        controller.refuse_targets_while(lambda: self.supervisor.refusal)
        controller.joins.on_join(lambda at: outputs.event(self.event("trajectory", at=at)))

    @property
    def started(self) -> bool:
        """Whether a state has been answered."""
        return self._observation is not None

    @property
    def beginning(self) -> bool:
        """Whether the next tick begins at the robot's state."""
        return self._beginning

    @property
    def commands_sent(self) -> int:
        """The number of the last command."""
        return self._number

    def continue_after(self, number: int) -> None:
        """Let the next command be that after command `number`."""
        self._number = number

    # --- between two ticks ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let the next tick begin at the robot's state: the node was activated."""
        self._beginning = True

    def forget(self) -> None:
        """Forget everything, as a process that was started anew."""
        self._observation, self._last_command, self._beginning = None, None, True
        self.supervisor.reset(None)
        self.supervisor.forget_inertia()
        self._applied.forget()

    def end(self) -> None:
        """Send the safe command, the last one until the next activation: the node was deactivated."""
        if self._observation is not None:
            self._publish(self._observation.stamp, self.supervisor.stop(self._recent_state(), Reason.STOPPING))

    def request(self, request: Request) -> bool:
        """Handle a request; return whether it was granted. An emergency stop acts at once."""
        before, state = self.supervisor.state, self._recent_state()
        granted, after = self.supervisor.request(request, state), self.supervisor.state
        if state is not None and State.HOLD in (before, after) and before is not after:
            self.controller.hold(state)  # also when holding ends: the controller starts at the robot's state
        if request is Request.E_STOP and self._observation is not None:
            self._publish(self._observation.stamp, self.supervisor.stop(state, Reason.REQUESTED))
        return granted

    def stop_motion(self) -> None:
        """Let the arm come to rest, also where no recent state is known, and forget every target; the state stays."""
        if self._observation is not None:
            self.controller.hold(self._observation)

    def event(self, name: str, **details: Any) -> Event:
        """Return the event `name` with its place among the commands."""
        recent = self._recent_state() is not None
        return Event(name, self._number, self.controller.targets_accepted, recent, details)

    def repeat_command(self, stamp: float | None = None) -> None:
        """Send the last command again, after a tick since the activation: no state came in time, or one came twice.

        Of the latter `stamp` [s] is given; nothing is sent if the last command answers another state.
        """
        if self._last_command is not None and not self._beginning and stamp in (None, self._last_command[0]):
            self.outputs.command(*self._last_command)

    # --- one tick -------------------------------------------------------------------------------------------------

    def tick(self, arrival: Arrival) -> Tick:
        """Answer a state with the controller's decision and return what happened."""
        begin, observation, statistics = time.perf_counter(), arrival.observation, self.statistics
        if observation.frames:
            self._newest_frame = observation.frames[-1].stamp
        decision, command = self._decide(arrival)
        computed = time.perf_counter()
        self._conditions.wait_to_answer(arrival)
        self._publish(observation.stamp, command)
        done = time.perf_counter()
        # simulated time may stand still until the first command: how long that took is no lateness
        late = self._conditions.lateness(arrival) if statistics.ticks else 0.0
        self._record(arrival, decision, command, late)
        period, self._published = done - self._published if statistics.ticks else float("nan"), done
        self._interruptions.following.add_command(command.u)
        compute, latency = computed - begin, done - arrival.received
        statistics.add_tick(compute, latency, period)
        return self._result(observation, decision, command, compute, latency, period, late)

    def play(self, arrival: Arrival) -> None:
        """Answer a state between two ticks with the plan's feedback, if a plan is valid and the state is ACTIVE."""
        observation = arrival.observation
        u = self._applied.between_ticks(observation)
        if u is None or self.supervisor.state is not State.ACTIVE:
            if self._lockstep:  # every state gets an answer
                self._send(observation.stamp, self._in_effect)
            return
        command = self.supervisor.between(u, observation, self._applied.player_share)
        self._publish(observation.stamp, command)
        self._applied.add_between_ticks(arrival, command.u)

    def miss(self, age: float) -> Tick | None:
        """Count a tick without a state, the newest being `age` [s] old; beyond the time-out send the safe command."""
        self.statistics.add_miss()
        if age <= self._timeout or self._observation is None:
            return None
        command = self.supervisor.stale(age)
        self._publish(self._observation.stamp, command)
        self._published = time.perf_counter()
        self.statistics.events["safe commands for stale states"] += 1
        return self._result(self._observation, None, command, 0.0, age, float("nan"), 0.0)

    def publish_results(self, tick: Tick | None) -> None:
        """Give a tick to the outputs; an error there is reported and does not reach the robot."""
        if tick is None:
            return
        try:
            self.outputs.tick(tick)
        except Exception:  # commands matter more than what is published about them
            self._report_error("output errors")

    # --- the parts of a tick --------------------------------------------------------------------------------------

    def _decide(self, arrival: Arrival) -> tuple[Decision | None, Command]:
        observation, before, decision = arrival.observation, self._observation, None
        judged, self._observation = self._judged(arrival), observation
        try:
            self._prepare(observation, before, judged)
            decision = self.controller.step(observation)
            admitted = self._observation = observation if decision.admitted is None else decision.admitted
            warnings = warnings_of(self.controller.health(), self.age, self._interruptions.following.following)
            bad = self.loop_watch.judge(admitted, decision, self._in_effect)
            placed = admitted.placed(self.controller.uncontrolled)
            command = self.supervisor.filter(decision, placed, warnings | bad if bad else warnings)
        except Exception:  # whatever a controller does, the robot gets a safe command
            self._report_error("controller errors")
            command = self._after_error(observation)
        return decision, command

    def _judged(self, arrival: Arrival) -> Reason:
        """Return what a clock has found to interrupt the ticks, and record it for a replay to repeat."""
        cause = self._conditions.interruption(arrival)
        if cause and not self._beginning:
            self.outputs.event(self.event("interruption", cause=cause.name, stamp=arrival.observation.stamp))
        return cause

    def _prepare(self, observation: Observation, before: Observation | None, judged: Reason) -> None:
        """Begin, or continue after an interruption, or record what acted since the state `before`."""
        self.age.state(observation.stamp)
        following = self._interruptions.following
        if self._beginning:
            if before is None:
                self.controller.reset(observation)
            else:  # active again: what was learned stays, targets do not
                self.controller.hold(observation)
                self.controller.resume(observation, self._in_effect)
            self.supervisor.reset(observation)
            self.age.reset()
            self.loop_watch.reset()
            following.forget()
            self._beginning = False
            return
        assert before is not None, "a state has been answered"
        cause = self._interruptions.cause(judged, before, observation, self._in_effect)
        if cause or self.supervisor.resuming:
            if cause:
                self._in_effect = self.supervisor.interrupted(cause, observation, self._in_effect)
            if cause & (Reason.CLOCK_JUMP | Reason.NO_COMMAND):
                self._conditions.restart()
                self.age.reset()
            if cause is not Reason.NOT_FOLLOWING:
                following.restart()
            held = None if cause else self.supervisor.held_by_guard
            self.controller.resume(observation, self._in_effect if held is None else held)
            if held is not None:
                self.controller.assume_held(observation, held)
            if self.supervisor.state is State.HOLD:
                self.controller.hold(observation)
            self._applied.restart()
        else:
            self._applied.end_period(before.stamp)
            if self.supervisor.rejoining:
                self.controller.rejoin(observation)
            elif self.supervisor.collisions is not None and self.supervisor.collisions.slowed:
                self.controller.wait_for_arm(observation)
        if following.learning_suspended:
            self.controller.skip_transition(following.to_forget)

    def _after_error(self, observation: Observation) -> Command:
        """Return the safe command; the one that needs no state where even that raises an error."""
        try:
            return self.supervisor.failed(observation)
        except Exception:
            self._report_error("safe command errors")
            return self.supervisor.stop(None, Reason.CONTROLLER_ERROR)

    def _record(self, arrival: Arrival, decision: Decision | None, command: Command, late: float) -> None:
        try:
            self._applied.add(arrival, decision, command.u, late, self.statistics.ticks)
        except Exception:
            self._report_error("controller errors")

    def _result(self, observation: Observation, decision: Decision | None, command: Command, *measured: float) -> Tick:
        """Return what happened; measured: how long it took to compute, latency, period [s], and lateness [periods]."""
        compute, latency, period, late = measured
        index, targets = self.statistics.ticks, self.controller.targets_adopted
        timing = compute, latency, period, self.statistics.missed, self._number, late
        return Tick(index, observation, decision, command, *timing, self._newest_frame, targets)

    def _publish(self, stamp: float, command: Command) -> None:
        self._send(stamp, command.u)
        self._last_command, self._in_effect = (stamp, command.u), command.u

    def _send(self, stamp: float, u: Array) -> None:
        self._number += 1
        self.outputs.command(stamp, u)
        self._conditions.published()

    def _recent_state(self) -> Observation | None:
        return self._observation if self._conditions.state_is_recent() else None
