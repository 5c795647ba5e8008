"""The driver of a replay: a bag through the nodes' readers and their control cycle, offline, as fast as possible.

Time is the bag's: a message arrives when it was recorded, the clock stands still in between, and no result depends on
how long anything takes. What mpc_node's status tells of its commands (timeline.py) is taken for true: which state was
answered and how late, which targets and features were known, what was asked for in between. In lockstep and in a bag of
another controller, a state is answered if it is due by its stamp. Two replays agree to the last bit on one machine.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..config.renamed import current
from ..controllers.base import Controller
from ..controllers.factory import build_controller
from ..exceptions import DataError, MbrlError
from ..messages.input_gate import Rejection
from ..messages.readers import PLAUSIBLE, Message
from ..messages.recorded_transforms import TRANSFORMED
from ..runtime.event_log import Event
from ..runtime.mailbox import Arrival
from .applied import RecordedApplied
from .event_replayer import EventReplayer, value_of
from .inputs import FeatureInput, StateInput
from .loop import ReplayLoop
from .notes import BagClock, Notes
from .observers import PassiveObserver
from .outputs import ReplayOutputs
from .reader import BagReader
from .recorded import RecordedCommands
from .setup import Setup
from .summary import summarized
from .targets import TargetReplayer
from .timeline import LAST, Place, RecordedTick, Timeline
from .topics import Mapped

LOOKAHEAD = 1.0  # [s] of the bag read before a message is handled: the answer to a state comes after it
LONGEST_SILENCE = 5.0  # [s] of a gap in which the safe command is repeated; more would show nothing new


class ReplayDriver:
    """One replay: `run` it once, then read `outputs`, `notes` and `summary`.

    Parameters
    ----------
    setup
        what is replayed with which settings.
    begin, end
        the range [s] since the bag's first message.
    by_bag
        whether states get the bag's own stamps instead of their header's.
    mapped
        the robot's names of foreign joints.
    progress
        is told the seconds of the bag that are done.
    """

    def __init__(
        self,
        setup: Setup,
        begin: float = 0.0,
        end: float = float("inf"),
        by_bag: bool = False,
        mapped: Mapped | None = None,
        progress: Callable[[float], None] = lambda seconds: None,
    ):
        self._setup, self._progress = setup, progress
        robot, dt = setup.robot, 1.0 / setup.configuration.control.rate
        clock = self._clock = BagClock()
        self.notes = Notes(clock, setup.notes)
        self._timeline = Timeline()
        self._reader = BagReader(setup, self._timeline, clock, begin, end)
        self.states = StateInput(setup, mapped, by_bag, clock, self.notes)
        self._features = FeatureInput(setup, self.states, clock, dt)
        largest = np.maximum(np.abs(robot.command_lower), np.abs(robot.command_upper))
        self._commands = RecordedCommands(robot.joints, PLAUSIBLE * largest)
        applied = RecordedApplied(setup.command_source, self._commands, clock, dt)
        self._controller = _controller(setup)
        self.outputs = ReplayOutputs(
            robot, self._controller, setup.plan, applied, self._rejected_inputs, clock, self.notes
        )
        self._loop = ReplayLoop(setup, self._controller, self.outputs, applied, clock)
        self._targets = TargetReplayer(self._controller, robot, mapped, self.notes.add) if setup.plan else None
        self._events = EventReplayer(self._loop, robot, setup.stream.path, self.notes, planning=setup.plan)
        self._restarted, self._epoch = False, 0
        self._judged = False  # whether the event log tells of every leap of the stamps
        self._handlers: dict[str, Callable[[Message], None]] = {
            "features": self._features.add_cloud,
            "features_vector": self._features.add_vector,
            "parameters": self._set_parameters,
            "policy": lambda message: self._events.add_policy(bytes(message.data)),
        }
        self._waiting: deque[tuple[float, str, Message | RecordedTick, bool]] = deque()
        self._wall = self._cpu = 0.0

    # --- through the bag ------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Replay the bag. What is wrong with a message is counted."""
        started, used = time.perf_counter(), time.process_time()
        for arrived, role, message in self._reader.read():
            if self._look_ahead(arrived, role, message):
                continue
            again = role == "commands" and self._commands.add(arrived, message)
            self._waiting.append((arrived, role, message, again))
            while arrived - self._waiting[0][0] > LOOKAHEAD:
                self._handle(*self._waiting.popleft())
        while self._waiting:
            self._handle(*self._waiting.popleft())
        self._catch_up((LAST, 0.0))
        self._wall, self._cpu = time.perf_counter() - started, time.process_time() - used
        for topic, count in self._reader.broken.items():
            self.notes.add(f"{count} messages on {topic} cannot be decoded")
        lost = self._commands.states_answered - self.outputs.difference.count
        if lost > 0 and self._setup.command_source == "answers" and self._setup.plan:
            self.notes.add(
                f"{lost} recorded commands answer states that are not in this range of the bag or were refused"
            )

    def summary(self) -> dict[str, Any]:
        """Return the contents of summary.json."""
        statistics = self._loop.cycle.statistics
        rejected = self.states.gate.rejected + self._features.gate.rejected
        rejected["cannot be decoded"] += sum(self._reader.broken.values())
        rejected[Rejection.TOO_LARGE.value] += self._reader.too_large
        rejected.update({f"command: {reason}": count for reason, count in self._commands.rejected.items()})
        return summarized(
            self.outputs,
            planned=self._setup.plan,
            messages=self._reader.messages,
            rejected=+rejected,
            missed=statistics.missed,
            restarts=self.states.gate.restarts,
            controller_errors=statistics.events["controller errors"],
            covered=self.states.covered,
            wall=self._wall,
            cpu=self._cpu,
        )

    def _look_ahead(self, arrived: float, role: str, message: Message) -> bool:
        """Take in a message whose place is told by something else than its arrival; return whether it is one."""
        if role == "event_log":  # its place is among the commands, and so is that of targets
            self._add_event(arrived, message)
            return True
        if role.startswith("target") and self._setup.numbered and self._targets is not None:
            self._targets.wait(arrived, role, message)
            return True
        if role == "features" and (self._setup.node.lockstep or self._setup.numbered):  # its stamp tells its tick
            self._clock.advance(arrived)
            self._features.add_cloud(message)
            return True
        return False

    def _handle(self, arrived: float, role: str, message: Message, again: bool) -> None:
        if role == "states":
            self._miss_until(arrived)
        self._clock.advance(arrived)
        if role == "states":
            self._take_state(message)
        elif role == "commands":
            if again and self._setup.as_recorded and not self._setup.numbered:
                self._loop.miss(self._state_age())  # the node had no new state and repeated itself
        elif role == "status":
            if message.silent:
                self._catch_up((message.epoch, message.number + 0.5))
        elif role.startswith("target"):
            if self._targets is not None:
                self._targets.give(role, message, arrived)
        elif role in self._handlers:
            try:
                self._handlers[role](message)
            except MbrlError as error:
                self.notes.add(str(error))
        if self._reader.messages % 64 == 0:
            self._progress(self._clock.since_begin)

    # --- states ---------------------------------------------------------------------------------------------------

    def _take_state(self, message: Message) -> None:
        """Read a state and answer it, if the node answered it or would have."""
        stamp = self.states.translate(message)
        tick = self._timeline.tick(stamp)
        answer = self._commands.answer(stamp) if self._setup.as_recorded else None
        answered = tick is not None or answer is not None
        overtook = tick is not None and tick.place > (self._epoch, self._loop.cycle.commands_sent)
        result = self.states.read(message, answered, overtook)
        moved = self.states.take_uncontrolled()
        if moved is not None and not self._setup.event_log:  # else the event log tells when the node had them
            self._controller.place_uncontrolled(moved)
        if result is None:
            return
        observation, effort, restarted = result
        self._restarted |= restarted and not self._judged
        if self._setup.as_recorded and not answered:
            return
        self._catch_up(tick.place if tick is not None else (self._epoch, self._loop.cycle.commands_sent + 1.0))
        if tick is not None:
            self._expect(tick)
        for frame in self._features.release(observation.stamp, tick):
            self._loop.put_frame(frame)
        arrival = Arrival(observation, time.perf_counter(), effort, self._restarted)
        self._restarted = False
        if not self._setup.as_recorded:
            self._loop.put(arrival)
        elif tick is None and self._loop.plays:
            self._loop.play(arrival, answer)
        else:
            self._loop.answer(arrival)
        self._loop.expect_nothing()

    def _miss_until(self, arrived: float) -> None:
        """Miss the ticks that were due before a state arrived, where the recording does not tell of them."""
        if not self._setup.as_recorded and not self._setup.node.lockstep:
            self._loop.miss_until(min(arrived, self._clock.now + LONGEST_SILENCE), self._state_age)

    def _state_age(self) -> float:
        return self.states.gate.age(self._clock.now)

    # --- what the status and the event log tell -------------------------------------------------------------------

    def _expect(self, tick: RecordedTick) -> None:
        """Let the next command be the recorded one with its number, lateness and targets."""
        if tick.epoch > self._epoch:
            self._begin_epoch(tick.epoch)
        self._loop.expect(tick)
        if self._targets is not None and self._setup.numbered:
            self._targets.give_until(tick.targets, self._clock.now)

    def _catch_up(self, place: Place) -> None:
        """Repeat the events and safe commands that came before the command at `place`."""
        while (item := self._timeline.take_before(place)) is not None:
            (epoch, _), what = item
            if isinstance(what, Event):
                if epoch > self._epoch:
                    self._begin_epoch(epoch)
                if self._targets is not None:
                    self._targets.give_until(what.targets, self._clock.now)
                self._events.repeat(what)
            else:
                self._expect(what)
                self._loop.miss(what.age)
                self._loop.expect_nothing()

    def _begin_epoch(self, epoch: int) -> None:
        """Forget everything: the node was started anew."""
        self.notes.add("the node was started anew; its parameters are taken to be those recorded first")
        self._epoch = epoch
        self._loop.cycle.forget()
        if self._targets is not None:
            self._controller.update_settings(self._setup.configuration)
            self._targets.forget_count()

    def _add_event(self, arrived: float, message: Message) -> None:
        try:
            event = Event.from_json(message.data)
            self._judged |= bool(event.details.get("leaps_recorded")) and self._setup.as_recorded
            if event.details.get("joins_recorded") and self._setup.as_recorded:
                self._controller.joins.await_told()
            if event.name == TRANSFORMED:
                if self._targets is not None:
                    self._targets.transforms.add(arrived, event.details)
            elif event.name != "refuse_target":
                self._timeline.add_event(event)
            elif self._targets is not None and self._setup.numbered:
                topic, stamp = str(event.details["topic"]), float(event.details["stamp"])
                self._targets.refuse(topic, stamp, int(event.details.get("newer", 0)))
        except (DataError, KeyError, TypeError, ValueError) as error:
            self.notes.add(str(error))

    def _set_parameters(self, message: Message) -> None:
        """Set parameters of the recorded node, in recordings without an event log."""
        if not self._setup.session or message.node != self._setup.session.get("node") or self._setup.event_log:
            return
        flat = self._controller.configuration.flat()
        named = {current(p.name): p.value for p in message.changed_parameters}
        changes = {name: value_of(value) for name, value in named.items() if name in flat}
        if changes:
            self.notes.add("parameters set: " + ", ".join(f"{key}={value}" for key, value in changes.items()))
            self._controller.update_settings(Configuration.from_flat({**flat, **changes}))

    def _rejected_inputs(self) -> int:
        return sum(self.states.gate.rejected.values()) + sum(self._features.gate.rejected.values())


def _controller(setup: Setup) -> Controller:
    """Return the recorded controller, or what only learns where nothing is planned."""
    if setup.plan:
        return build_controller(setup.robot, setup.configuration)
    return PassiveObserver(setup.robot, setup.configuration, setup.prior)
