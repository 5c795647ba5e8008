"""The control loop of a replay: the node's control cycle in the bag's time, without a thread."""

from __future__ import annotations

from collections.abc import Callable

from ..controllers.base import Controller
from ..runtime.conditions import SteppedConditions
from ..runtime.control_cycle import ControlCycle
from ..runtime.feedback_player import PLAN_VALIDITY, FeedbackPlayer
from ..runtime.interfaces import CommandSupervisor
from ..runtime.mailbox import Arrival, Mailbox
from ..runtime.scheduling import Deadline
from ..safety.factory import make_supervisor
from ..types import Array, FeatureFrame
from .applied import RecordedApplied
from .notes import BagClock
from .observers import NullSupervisor
from .outputs import ReplayOutputs
from .setup import Setup
from .timeline import RecordedTick


class ReplayLoop:
    """Answers states as the node did, or as it would have; `cycle` and `conditions` are those of the runtime.

    `plays` tells whether a feedback player answers states between two ticks.
    """

    def __init__(
        self, setup: Setup, controller: Controller, outputs: ReplayOutputs, applied: RecordedApplied, clock: BagClock
    ):
        robot, control, lockstep = setup.robot, setup.configuration.control, setup.node.lockstep
        dt = 1.0 / control.rate
        period = 1.0 / setup.node.player_rate if setup.node.player_rate and setup.plan else None
        supervisor: CommandSupervisor = NullSupervisor()
        if setup.plan:
            supervisor = make_supervisor(robot, setup.configuration)
        self._outputs, self._clock, self._deadline = outputs, clock, Deadline(dt)
        self.plays = period is not None
        self.conditions = SteppedConditions(applied.applied)
        self.cycle = ControlCycle(
            controller,
            supervisor,
            outputs,
            self.conditions,
            dt=dt,
            timeout=control.state_timeout,
            lockstep=lockstep,
            player=FeedbackPlayer(robot.n, dt, PLAN_VALIDITY * dt) if period else None,
            player_period=period,
        )
        self._mailbox = Mailbox(
            dt,
            lockstep=lockstep,
            player_period=period,
            events=self.cycle.statistics.events,
            frame_latency=control.feature_latency,
        )
        self._mailbox.open()

    def put_frame(self, frame: FeatureFrame) -> None:
        """Take in a feature frame for the next tick."""
        self._mailbox.put_frame(frame)

    def put(self, arrival: Arrival) -> None:
        """Answer a state if it is due by its stamp."""
        self._mailbox.put(arrival)
        while (due := self._mailbox.take(lambda: 0.0)) is not None:
            if due.due:
                self._tick(due)
            else:
                self.cycle.play(due)

    def answer(self, arrival: Arrival) -> None:
        """Make a tick of a state, due or not."""
        self._tick(self._mailbox.with_frames(arrival))

    def play(self, arrival: Arrival, recorded: Array | None) -> None:
        """Answer a state between two ticks, and compare the command with the recorded one (nu,)."""
        before = self.cycle.commands_sent
        self.cycle.play(arrival)
        if recorded is not None and self.cycle.commands_sent > before:  # before the first plan nothing is played
            self._outputs.compare_last(recorded)

    def miss(self, age: float) -> None:
        """Let a tick be missed because no state came, the newest being `age` [s] old."""
        if self.cycle.started:
            self._deadline.after_miss(self._clock.now)
            self.cycle.publish_results(self.cycle.miss(age))

    def miss_until(self, end: float, age: Callable[[], float]) -> None:
        """Miss the ticks that are due before `end` [s]; `age` returns the age of the newest state [s]."""
        while self.cycle.started and self._deadline.time < end:
            self._clock.advance(self._deadline.time)
            self.miss(age())

    def expect(self, tick: RecordedTick) -> None:
        """Let the next command be the recorded one with its number and lateness."""
        self.cycle.continue_after(tick.number - 1)
        self.conditions.set_lateness(tick.late)
        self._outputs.expect(tick)

    def expect_nothing(self) -> None:
        """Let the next command be one of which nothing is recorded."""
        self.conditions.set_lateness(0.0)
        self._outputs.expect(None)

    def _tick(self, arrival: Arrival) -> None:
        tick = self.cycle.tick(arrival)
        self._deadline.after_tick(self._clock.now)
        self.cycle.publish_results(tick)
