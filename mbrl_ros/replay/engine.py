"""A bag through exactly the nodes' conversion and the same control loop, offline, as fast as possible.

Time is the bag's: a message arrives when it was recorded, the loop's clock stands still in between, and no result
depends on how long anything takes. What mpc_node said of its commands (course.py) is believed: which state was answered and
how late, which targets and features were known, what was asked for in between. In lockstep and in a bag of another
controller a state is answered if it is due by its stamp. Two replays agree to the last bit on one machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.configuration import Configuration
from ..controllers.factory import build_controller
from ..data.stream import Decoder
from ..exceptions import DataError, MbrlError
from ..messages.input_gate import InputGate
from ..messages.readers import PLAUSIBLE, FeatureReader, JointStateReader, Message, seconds
from ..runtime.control_loop import Tick
from ..runtime.event_log import Event
from ..runtime.feedback_player import PLAN_VALIDITY, FeedbackPlayer
from ..runtime.mailbox import Arrival
from ..safety.supervisor import Supervisor
from ..types import Array, FeatureFrame
from .difference import Difference
from .event_replayer import Repeater, value_of
from .observers import NullSupervisor, PassiveObserver
from .prediction import PredictionScores, nothing_scored
from .recorded import RecordedCommands
from .setup import Setup
from .stepped import SteppedLoop
from .table import Table
from .targets import Targets
from .timeline import LAST, Place, RecordedTick, StatusReader, Timeline

LOOKAHEAD = 1.0  # [s] of the bag read before a message is handled: the answer to a state comes after it
LONGEST_SILENCE = 5.0  # [s] of a gap in which the safe command is repeated; more of the same says nothing
MOST_EVENTS = 200


@dataclass(frozen=True)
class TimedNote:
    """Something worth a line: `time` [s] since the beginning of the bag."""

    time: float
    text: str


class Engine:
    """One replay. `table` has a row per tick; summary() says what came of it."""

    def __init__(
        self,
        setup: Setup,
        begin: float = 0.0,
        end: float = float("inf"),
        stamps: str = "header",
        mapped=None,
        progress: Callable[[float], None] = lambda seconds: None,
    ):
        self._setup, self._begin, self._end, self._by_bag, self._mapped = setup, begin, end, stamps == "bag", mapped
        self._progress = progress
        robot, c = setup.robot, setup.configuration
        control = c.control
        self.dt, self.n = 1.0 / control.rate, len(robot.joints)
        self.now = self._first = float("nan")
        self._covered, self._previous = 0.0, float("inf")
        self.messages = self.ticks = 0
        self.events: list[TimedNote] = []
        self.rejected: Counter[str] = Counter()
        clock = "stamps" if setup.node.lockstep or setup.simulated else control.stamp_clock
        self.states = InputGate("joint_states", timeout=control.state_timeout, clock=clock)
        self.features = InputGate("features", timeout=c.features.timeout, clock=clock)
        self._joint_reader = JointStateReader(
            robot, self.states, missing_velocity=control.missing_velocity, cutoff=control.velocity_cutoff
        )
        self._feature_reader = FeatureReader(c.features.points, self.features)
        self._decoder = Decoder(setup.stream)
        largest = np.maximum(np.abs(robot.command_lower), np.abs(robot.command_upper))
        self.recorded = RecordedCommands(robot.joints, PLAUSIBLE * largest)
        self.controller = build_controller(robot, c) if setup.plan else PassiveObserver(robot, c, setup.prior)
        dynamics = getattr(self.controller, "dynamics", None)
        self.prediction = PredictionScores(dynamics) if dynamics is not None else None
        if self.prediction is not None:
            dynamics.show_transitions_to(self.prediction)
        supervisor = Supervisor(robot, c.supervisor, self.dt) if setup.plan else NullSupervisor()
        played = 1.0 / setup.node.player_rate if setup.node.player_rate and setup.plan else None
        self.loop = SteppedLoop(
            self.controller,
            supervisor,
            self,
            dt=self.dt,
            timeout=control.state_timeout,
            age=self._age,
            lockstep=setup.node.lockstep,
            frame_latency=control.feature_latency,
            shadow=setup.feeding == "effort",
            player=FeedbackPlayer(self.n, self.dt, PLAN_VALIDITY * self.dt) if played else None,
            player_period=played,
            clock=lambda: self.now,
            felt={"answers": self._answered, "held": self._held, "none": self._nothing, "effort": self._measured}[
                setup.feeding
            ],
        )
        self.course, self._told_age = Timeline(), None
        self._status = StatusReader(self._decode_status)
        self._repeater = Repeater(self.loop, robot, setup.stream.path, self._note, self._warn, setup.plan)
        self._targets = Targets(self.controller, robot, mapped, self._note) if setup.plan else None
        self._restarted, self._epoch = False, 0
        self._told: RecordedTick | None = None  # of the command being computed
        self._frames: deque[tuple[FeatureFrame, bool]] = deque()  # whether its stamp is its own
        self._latency = control.feature_latency
        self._newest = (0.0, 0.0)  # stamp and arrival of the newest state
        self._span = robot.command_upper - robot.command_lower
        self._difference = Difference()
        self._digest = hashlib.sha256()
        self.table = Table(
            {
                **dict.fromkeys(("time", "stamp")),
                **dict.fromkeys(("q", "qd", "u", "u_proposed", "u_recorded", "innovation"), robot.joints),
                **dict.fromkeys(
                    (
                        "nis",
                        "nis_bound",
                        "far_error",
                        "far_change",
                        "difference",
                        "decision_status",
                        "plan_status",
                        "plan_iterations",
                        "cost",
                        "supervisor_state",
                        "supervisor_reasons",
                        "missed",
                        "rejected",
                        "compute_ms",
                        "late",
                        "recorded_compute_ms",
                        "recorded_latency_ms",
                    )
                ),
            }
        )

    # --- running --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Through the bag. What is wrong with a message is counted; only an empty range is an error."""
        started, used = time.perf_counter(), time.process_time()
        waiting: deque[tuple[float, str, Message, bool]] = deque()
        for arrived, role, message in self._read():
            if role == "event_log":  # what it tells has its place among the commands, and so have targets
                self._on_event(message)
                continue
            if role.startswith("target") and self._setup.numbered and self._targets is not None:
                self._targets.wait(arrived, role, message)
                continue
            again = role == "commands" and self.recorded.add(arrived, message)
            if role == "features" and (
                self._setup.node.lockstep or self._setup.numbered
            ):  # its stamp says which tick has it
                self.now = arrived
                self._on_features(message)
                continue
            waiting.append((arrived, role, message, again))
            while arrived - waiting[0][0] > LOOKAHEAD:
                self._handle(*waiting.popleft())
        while waiting:
            self._handle(*waiting.popleft())
        self._catch_up((LAST, 0.0))
        self.wall, self.cpu = time.perf_counter() - started, time.process_time() - used
        for topic, count in self._decoder.broken.items():
            self.rejected["cannot be decoded"] += count
            self._note(f"{count} messages on {topic} cannot be decoded")
        lost = self.recorded.states_answered - self._difference.count
        if lost > 0 and self._setup.feeding == "answers" and self._setup.plan:
            self._note(f"{lost} recorded commands answer states that are not in this range of the bag or were refused")
        for reason, count in self.recorded.strange.items():
            self.rejected[f"command: {reason}"] += count

    def _read(self) -> Iterator[tuple[float, str, Message]]:
        """(arrival [s], role, message) of the chosen range."""
        roles, first = self._setup.roles, None
        begin, end = (round(1e9 * min(seconds, 1e9)) for seconds in (self._begin, self._end))
        for topic, kind, stamp, data in self._setup.stream.messages(roles):
            arrived = 1e-9 * stamp
            if first is None:
                first, self._first = stamp, arrived
            since = stamp - first
            role = roles[topic]
            if since > end or since < begin and role not in ("session", "description", "parameters", "policy"):
                continue
            self.messages += 1
            if role == "status":
                self._status_kind = topic, kind
                values = self._status.read(data)
                message = self.course.add_status(values) if values is not None else None
            else:
                message = self._decoder.decode(topic, kind, data)
            if message is not None:
                yield arrived, role, message

    def _handle(self, arrived: float, role: str, message: Message, again: bool) -> None:
        if role == "states":
            self._be_silent_until(arrived)
        self.now = arrived
        if role == "states":
            self._on_state(message)
        elif role == "commands":
            if again and self._setup.as_recorded and not self._setup.numbered:
                self.loop.be_silent()  # the node had no new state and repeated itself
        elif role == "status":
            if message.silent:
                self._catch_up((message.epoch, message.number + 0.5))
        elif role.startswith("target"):
            if self._targets is not None:
                self._targets.give(role, message)
        elif role in HANDLERS:
            try:
                HANDLERS[role](self, message)
            except MbrlError as error:
                self._note(str(error))
        if self.messages % 64 == 0:
            self._progress(arrived - self._first)

    def _be_silent_until(self, arrived: float) -> None:
        if self._setup.as_recorded or self._setup.node.lockstep:
            return  # what was sent in between stands in the bag
        end = min(arrived, self.now + LONGEST_SILENCE)
        while self.loop.deadline < end:
            self.now = self.loop.deadline
            self.loop.be_silent()

    def _on_state(self, message: Message) -> None:
        message.name = self._mapped.translated(message.name) if self._mapped is not None else message.name
        if self._by_bag:
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(1e9 * self.now), 10**9)
        stamp = seconds(message.header.stamp)
        told = self.course.tick(stamp)
        answered = told is not None or self._setup.as_recorded and self.recorded.answer(stamp) is not None
        self.states.timeout = (
            np.inf if answered else self._setup.configuration.control.state_timeout
        )  # it was fresh then
        result = self._joint_reader.read(message, self.now)
        if result is None and told is not None and told.place > (self._epoch, self.loop.sent):
            self.states.forget()  # the node answered it: it had not seen what the recorder saw before
            result = self._joint_reader.read(message, self.now)
        if result is None:
            return
        observation, effort, restarted = result
        if restarted:
            self._note("the stamps begin a new time line")
        self._newest = (observation.stamp, self.now)
        self._covered += max(0.0, observation.stamp - self._previous)
        self._previous = observation.stamp
        self._restarted |= restarted
        if self._setup.as_recorded and not answered:
            return
        self._catch_up(told.place if told is not None else (self._epoch, self.loop.sent + 1.0))
        if told is not None:
            self._believe(told)
        self._release_frames(observation.stamp, told)
        arrival = Arrival(observation, time.perf_counter(), effort, self._restarted)
        self._restarted = False
        if not self._setup.as_recorded:
            self.loop.mailbox.put(arrival)
            self.loop.advance()
        elif told is None and self.loop.player is not None:
            self._last_sent = None
            self.loop.play(arrival)
            if self._last_sent is not None:  # before the first plan there is nothing to play
                self._difference.add(np.abs(self._last_sent - self.recorded.answer(stamp)) / self._span)
        else:
            self.loop.answer(arrival)
        self.loop.late, self._told = 0, None

    # --- what mpc_node said of its commands -------------------------------------------------------------------------

    def _believe(self, told: RecordedTick) -> None:
        """The next command is number told.number."""
        if told.epoch > self._epoch:
            self._begin_anew(told.epoch)
        self.loop.sent, self.loop.late, self._told = told.number - 1, told.late, told
        if self._targets is not None and self._setup.numbered:
            self._targets.give_until(told.targets, self.now)

    def _catch_up(self, place: Place) -> None:
        """What happened before the command at `place`."""
        while (item := self.course.before(place)) is not None:
            (epoch, _), what = item
            if isinstance(what, Event):
                if epoch > self._epoch:
                    self._begin_anew(epoch)
                if self._targets is not None:
                    self._targets.give_until(what.targets, self.now)
                self._repeater.repeat(what)
            else:
                self._believe(what)
                self._told_age = what.age
                self.loop.be_silent()
                self._told_age = self._told = None

    def _begin_anew(self, epoch: int) -> None:
        self._note("the node was started anew; its parameters are taken to be those recorded first")
        self._epoch = epoch
        self.loop.begin_anew()
        if self._targets is not None:
            self.controller.update_settings(self._setup.configuration)
            self._targets.forget_count()

    def _on_event(self, message: Message) -> None:
        try:
            event = Event.from_json(message.data)
            if event.name != "refuse_target":
                self.course.add_event(event)
            elif self._targets is not None and self._setup.numbered:
                self._targets.refuse(str(event.details["topic"]), float(event.details["stamp"]))
        except (DataError, KeyError, TypeError, ValueError) as error:
            self._note(str(error))

    def _decode_status(self, data: bytes) -> Message | None:
        return self._decoder.decode(*self._status_kind, data)

    def _age(self) -> float:
        return self.states.age(self.now) if self._told_age is None else self._told_age

    def _on_features(self, message: Message) -> None:
        self._take(self._feature_reader.read_cloud(message, self.now))

    def _on_feature_vector(self, message: Message) -> None:
        if self.states.accepted:
            stamp, arrived = self._newest
            since = 0.0 if self._setup.node.lockstep else self.now - arrived
            self._take(self._feature_reader.read_vector(message, stamp + since - self._latency, self.now), exact=False)

    def _take(self, frame: FeatureFrame | None, exact: bool = True) -> None:
        if frame is not None:
            self._frames.append((frame, exact))

    def _release_frames(self, stamp: float, told: RecordedTick | None) -> None:
        """Those the node had. In lockstep a frame belongs to the first state that is not earlier, in whatever order they
        were recorded. A vector without a stamp gets the one that the node took it to have, up to half a tick later.
        """
        lockstep, latest = self._setup.node.lockstep, float("inf")
        if lockstep:
            latest = stamp + 0.5 * self.dt
        elif told is not None:
            latest = -float("inf") if np.isnan(told.frame) else told.frame
        while self._frames and (frame := self._frames[0][0]).stamp <= latest + (
            0.0 if self._frames[0][1] else 0.5 * self.dt
        ):
            _, exact = self._frames.popleft()
            near = told is not None and not lockstep and not exact and abs(frame.stamp - told.frame) <= 0.5 * self.dt
            self.loop.mailbox.put_frame(dataclasses.replace(frame, stamp=told.frame) if near else frame)

    def _on_parameters(self, message: Message) -> None:
        if not self._setup.session or message.node != self._setup.session.get("node") or self._setup.event_log:
            return
        flat = self.controller.configuration.flat() if hasattr(self.controller, "configuration") else {}
        changes = {p.name: value_of(p.value) for p in message.changed_parameters if p.name in flat}
        if changes:
            self._note("parameters set: " + ", ".join(f"{key}={value}" for key, value in changes.items()))
            self.controller.update_settings(Configuration.from_flat({**flat, **changes}))

    def _on_policy(self, message: Message) -> None:
        content = bytes(message.data)
        self._repeater.policies[hashlib.sha256(content).hexdigest()] = content

    # --- what the robot felt --------------------------------------------------------------------------------------

    def _answered(self, arrival: Arrival) -> Array | None:
        return self.recorded.answer(arrival.observation.stamp)

    def _held(self, arrival: Arrival) -> Array:
        mean = self.recorded.mean(self.now, self.now + self.dt)
        return np.zeros(self.n) if mean is None else mean

    def _nothing(self, arrival: Arrival) -> Array:
        return np.zeros(self.n)

    def _measured(self, arrival: Arrival) -> None:
        """The loop itself takes the effort, in shadow."""

    # --- the loop's outputs ---------------------------------------------------------------------------------------

    def command(self, stamp: float, u: Array) -> None:
        self._last_sent = u
        self._digest.update(struct.pack("<d", stamp) + np.asarray(u, dtype="<f8").tobytes())

    def event(self, event: Event) -> None:
        """What is done again was told when it was done first."""

    def log(self, level: str, text: str) -> None:
        self._note(text)

    def tick(self, tick: Tick) -> None:
        decision, observation, command = tick.decision, tick.observation, tick.command
        rejected = sum(self.states.rejected.values()) + sum(self.features.rejected.values())
        row: dict[str, Any] = dict(
            time=self.now - self._first,
            stamp=observation.stamp,
            q=observation.q,
            qd=observation.qd,
            missed=tick.missed,
            supervisor_state=command.state,
            supervisor_reasons=command.reasons,
            rejected=rejected,
        )
        if self._told is not None:
            row.update(missed=self._told.missed, late=self._told.late)
            if decision is not None:
                row.update(recorded_compute_ms=self._told.compute_ms, recorded_latency_ms=self._told.latency_ms)
        if decision is not None:
            self.ticks += 1
            if self.prediction is not None:
                self.prediction.add_decision(decision, self.controller.nis_bound)
                if decision.innovation is not None:
                    row.update(
                        far_error=self.prediction.far[0],
                        far_change=self.prediction.far[1],
                        nis_bound=self.controller.nis_bound,
                    )
            row.update(
                innovation=decision.innovation,
                nis=decision.nis,
                decision_status=decision.status,
                compute_ms=1e3 * tick.compute,
            )
        if self._setup.plan:
            recorded = self._recorded_command(observation.stamp)
            if recorded is not None and decision is not None:
                row.update(
                    u_recorded=recorded, difference=self._difference.add(np.abs(command.u - recorded) / self._span)
                )
            row.update(u=command.u)
            if decision is not None:
                row.update(u_proposed=decision.u)
                if decision.plan is not None:
                    plan = decision.plan
                    row.update(plan_status=plan.status, plan_iterations=plan.iterations, cost=plan.cost)
        self.table.add(**row)

    def _recorded_command(self, stamp: float) -> Array | None:
        if self._setup.feeding == "held":
            return self.recorded.mean(self.now, self.now + self.dt)
        return self.recorded.answer(stamp)

    def _note(self, text: str) -> None:
        if len(self.events) < MOST_EVENTS:
            self.events.append(TimedNote(0.0 if np.isnan(self.now) else self.now - self._first, text))

    def _warn(self, text: str) -> None:
        """What makes the replay another run than the recorded one stands above the result, too."""
        self._note(text)
        self._setup.notes.append(text)

    # --- the result -----------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """summary.json; nothing in it but realtime_factor, wall_s and cpu_s depends on the machine's speed."""
        rejected = self.rejected + self.states.rejected + self.features.rejected
        covered = self._covered
        return {
            "messages": self.messages,
            "ticks": self.ticks,
            "rejected": dict(sorted(rejected.items())),
            "prediction": nothing_scored() if self.prediction is None else self.prediction.scores(),
            "commands_sha256": self._digest.hexdigest() if self._setup.plan else None,
            "realtime_factor": covered / self.wall if self.wall > 0.0 else None,
            "duration_s": covered,
            "wall_s": self.wall,
            "cpu_s": self.cpu,
            "missed": self.loop.missed,
            "restarts": self.states.restarts,
            "difference": self._difference.summary(),
            "controller_errors": self.loop.events["controller errors"],
        }


HANDLERS = {
    "features": Engine._on_features,
    "features_vector": Engine._on_feature_vector,
    "parameters": Engine._on_parameters,
    "policy": Engine._on_policy,
}
