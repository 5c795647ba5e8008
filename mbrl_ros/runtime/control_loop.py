"""The control thread: waits for a state, makes the tick, hands out the command first and everything else after it.

Another thread puts states into the mailbox. A tick begins with the arrival of the first state due by
its stamp (timing.Grid), so its phase locks to the robot's; when none arrives within 1.5 periods the tick is missed and
counted, and once the newest state is older than the time-out the safe command goes out every period. States that come
between ticks may be answered with the plan's feedback (runtime/feedback_player.py). In lockstep every state gets exactly one command, in
the order of the stamps, and no clock is asked.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..exceptions import ConfigurationError
from ..safety.state_machine import Reason, Request, State
from ..safety.supervisor import Command, Supervisor
from ..types import Array, Decision, Observation
from .event_log import Event
from .feedback_player import FeedbackPlayer
from .mailbox import Arrival, Mailbox
from .scheduling import CommandAge, Lateness
from .statistics import Rolling

LATE = 1.5  # periods without a state after which a tick counts as missed
WAITING = 0.35  # of a period: the longest that a command is kept back


@dataclass(frozen=True, eq=False, slots=True)
class Tick:
    """What happened in one tick. compute, latency (arrival to command) and period [s]; decision None: no decision.

    number: of the command, counted from 1; late: periods by which it came too late; it is taken to act whole ones later;
    frame: stamp of the newest features used until then [s]; targets: how many had been accepted.
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
    """Where a tick's results go. `log(level, text)`: level is "info", "warning" or "error"."""

    def command(self, stamp: float, u: Array) -> None: ...

    def tick(self, tick: Tick) -> None: ...

    def event(self, event: Event) -> None: ...

    def log(self, level: str, text: str) -> None: ...


class ControlLoop:
    """One thread between start() and stop(). controller: the seam of controllers/mpc.py.

    age() [s] is that of the newest state by its stamp; clock() [s] times the deadlines (the simulation's, if there is
    one). A command leaves no earlier than `answer_after` [s] after its state can have come: how long computing and
    transport take varies, and a constant delay is easier to learn. `settle` is called first in the thread. Whoever
    changes the controller or the supervisor from outside does it through outside(), between two commands; only targets
    may come at any time.
    """

    def __init__(
        self,
        controller: Any,
        supervisor: Supervisor,
        outputs: Outputs,
        *,
        dt: float,
        timeout: float,
        age: Callable[[], float],
        lockstep: bool = False,
        answer_after: float = 0.0,
        frame_latency: float = 0.0,
        shadow: bool = False,
        player: FeedbackPlayer | None = None,
        player_period: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
        settle: Callable[[], None] = lambda: None,
    ):
        self.controller, self.supervisor, self.outputs = controller, supervisor, outputs
        self.dt, self.timeout, self.lockstep, self.shadow = dt, timeout, lockstep, shadow
        self.clock, self._age, self._settle = clock, age, settle
        self._frame_latency = frame_latency if lockstep else 0.0
        # by the clock that stamps are compared with, and by the one that waits for the time to answer
        self._lateness, self._way = Lateness(dt), Lateness(dt)
        limits = supervisor.settings
        # a command that is one period late is what the next plan expects, however long a period is
        self.age = CommandAge(
            dt, max(limits.late_warning, 1.2 * dt), max(limits.late_limit, 2.4 * dt), limits.late_release
        )
        self._told_lateness = (0, 1.0, 0.0)  # what the controller was told last
        self._answer_after = 0.0 if lockstep else min(answer_after, WAITING * dt)
        self.player, self._player_share = player, (player_period or dt) / dt
        self.compute, self.latency, self.period, self.recent_misses = Rolling(), Rolling(), Rolling(), Rolling()
        self.events: Counter[str] = Counter()
        self.ticks = self.missed = self.sent = 0
        self._newest_frame = float("nan")
        self.exclusive = threading.Lock()
        self.mailbox = Mailbox(
            dt, lockstep=lockstep, player_period=player_period if player else None, events=self.events
        )
        self._stopping, self._beginning = False, True
        self._thread: threading.Thread | None = None
        self._observation: Observation | None = None
        self._last_command: tuple[float, Array] | None = None
        self._played: list[Array] = []
        if hasattr(controller, "target_manager"):
            controller.refuse_targets_while(lambda: self.supervisor.refusal)
        self._published = self._deadline = 0.0

    @property
    def running(self) -> bool:
        return self._thread is not None

    # --- from any thread ------------------------------------------------------------------------------------------

    def repeat_command(self) -> None:
        """Send the last command again: a state that came twice may mean that its answer was lost."""
        if self._last_command is not None:
            self.outputs.command(*self._last_command)

    def request(self, request: Request) -> bool:
        """HOLD, RESUME, CLEAR or E_STOP, asked for by somebody; whether it was granted. An E_STOP acts at once."""

        def act() -> bool:
            before, known = self.supervisor.state, self._known()
            granted = self.supervisor.request(request, known)
            if (
                known is not None
                and State.HOLD in (before, self.supervisor.state)
                and before is not self.supervisor.state
            ):
                self.controller.hold(known)  # after holding, too, it starts where the arm really is
            if request is Request.E_STOP and self._observation is not None:
                self._publish(self._observation.stamp, self.supervisor.stop(known, Reason.REQUESTED))
            return granted

        return self.outside(request.name.lower(), act)

    def outside(self, name: str, act: Callable[[], Any], **details: Any) -> Any:
        """act(), between two commands, and tell the outputs, unless it raises; `details`: whatever doing it again needs."""
        with self.exclusive:
            event = Event(name, self.sent, self._targets("accepted"), self._known() is not None, details)
            result = act()
            self.outputs.event(event)
            return result

    def refused(self, topic: str, stamp: float) -> None:
        """A target with this header stamp [s] was refused, and not counted: a replay must not give it later."""
        self.outputs.event(
            Event("refuse_target", self.sent, self._targets("accepted"), True, {"topic": topic, "stamp": stamp})
        )

    def start(self) -> None:
        """Begin; ConfigurationError if the robot may not be commanded with this configuration."""
        if self.supervisor.unready:
            raise ConfigurationError(self.supervisor.unready, key="supervisor.safe_effort")
        self.outside("activate", self._begin)
        self.mailbox.open()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; its last act is the safe command."""
        self._stopping = True
        self.mailbox.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # --- in the control thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._settle()
        while True:
            waits = self.lockstep or self._beginning
            arrival = self.mailbox.take(None if waits else lambda: self._deadline - self.clock())
            if self._stopping:
                break
            with self.exclusive:
                if arrival is None:
                    tick = self._miss()
                elif arrival.due:
                    tick = self._tick(arrival)
                else:
                    tick = self._play(arrival)
            if tick is not None:
                self._tell(tick)
        self.outside("deactivate", self._end)

    def _begin(self) -> None:
        self._stopping, self._beginning = False, True

    def _end(self) -> None:
        if self._observation is not None:
            self._publish(self._observation.stamp, self.supervisor.stop(self._known(), Reason.STOPPING))

    def _tick(self, arrival: Arrival) -> Tick:
        begin = time.perf_counter()
        observation = known = self._with_frames(arrival.observation)
        decision = None
        try:
            self._prepare(observation, arrival.restarted)
            decision = self.controller.step(observation)
            known = observation if decision.admitted is None else decision.admitted
            command = self.supervisor.filter(decision, known, self._doubts())
        except Exception:  # whatever a controller does, the robot gets a safe command
            self._report("controller errors")
            command = self._after_error(observation)
        self._observation = known
        computed = time.perf_counter()
        self._wait_to_answer(arrival, computed)
        self._publish(observation.stamp, command)
        done = time.perf_counter()
        late = self._late(arrival)
        if not self.ticks:  # simulated time may stand still until the first command: how long that took is no lateness
            late = 0.0
            self._lateness.reset()
        self._after(arrival, decision, command, late)
        period = done - self._published if self.ticks else float("nan")
        self._published, self._deadline = done, self.clock() + LATE * self.dt
        self.compute.add(computed - begin)
        self.latency.add(done - arrival.received)
        self.recent_misses.add(0.0)
        if self.ticks:
            self.period.add(period)
        self.ticks += 1
        return Tick(
            self.ticks,
            observation,
            decision,
            command,
            computed - begin,
            done - arrival.received,
            period,
            self.missed,
            self.sent,
            late,
            self._newest_frame,
            self._targets("adopted"),
        )

    def _prepare(self, observation: Observation, restarted: bool) -> None:
        """Before a decision: begin, or begin again where the robot is after an interruption."""
        self.age.state(observation.stamp)
        if self._beginning:
            if self._observation is None:
                self.controller.reset(observation)
            else:  # active again: what was learned stays, where to go does not
                self.controller.hold(observation)
                self.controller.resume(observation, self._last_command[1])
            self.supervisor.reset(observation)
            self.age.reset()
            self._beginning = False
        elif restarted or self.supervisor.resuming:
            if restarted:
                self._lateness.reset()
                self._way.reset()
                self.age.reset()
                self.supervisor.interrupted(Reason.CLOCK_JUMP)
            self.controller.resume(observation, self._last_command[1])
            if self.supervisor.state is State.HOLD:
                self.controller.hold(observation)
            self._played = []
            if self.player is not None:
                self.player.new_epoch()
        elif self._played:  # what acted during the last period, on average
            self.controller.record(self._observation.stamp, np.mean(self._played, axis=0))
            self._played = []

    def _after(self, arrival: Arrival, decision: Decision | None, command: Command, late: float) -> None:
        """Tell the controller what was published, `late` periods after its time, and hand its plan to the player."""
        try:
            acted, acts = self._acted(arrival, command), self.age.sent(arrival.observation.stamp, late)
            expected = self._told_lateness[0]  # what the plan counted on
            lateness = self.age.expected, self.age.authority, self.age.std
            if lateness != self._told_lateness:
                self._told_lateness = lateness
                self.controller.adapt_to_lateness(*lateness)
            if self.player is None:
                self.controller.record(acts, acted)
                self.events["commands a period late"] += late >= 1.0
                return
            self._played = [acted]  # recorded when the period is over: more commands will follow in it
            if decision is not None and decision.plan is not None:
                joints = np.concatenate((arrival.observation.q, arrival.observation.qd))
                delay = (self.controller.settings.delay + expected) * self.dt
                self.player.take(decision.plan, decision.stamp, joints, delay, self.player.epoch, self.ticks)
        except Exception:
            self._report("controller errors")

    def _after_error(self, observation: Observation) -> Command:
        """The safe command; without the state where even that raises an error."""
        try:
            return self.supervisor.failed(observation)
        except Exception:
            self._report("safe command errors")
            return self.supervisor.stop(None, Reason.CONTROLLER_ERROR)

    def _play(self, arrival: Arrival) -> None:
        """Answer a state between two ticks with the plan's feedback, if a plan is valid and nothing is wrong."""
        observation = arrival.observation
        u = self.player.command(observation.stamp, np.concatenate((observation.q, observation.qd)))
        if u is None or self.supervisor.state is not State.ACTIVE:
            if self.lockstep:  # every state gets an answer
                self._send(observation.stamp, self._last_command[1])
            return
        command = self.supervisor.between(u, observation, self._player_share)
        self._publish(observation.stamp, command)
        self._played.append(self._acted(arrival, command))
        self.events["commands between plans"] += 1

    def _miss(self) -> Tick | None:
        """No state came in time: after the time-out the safe command goes out, before that the last one stands."""
        age = self._age()
        self._deadline = max(self._deadline + self.dt, self.clock())
        self.missed += 1
        self.recent_misses.add(1.0)
        if age <= self.timeout:
            return None
        command = self.supervisor.stale(age)
        self._publish(self._observation.stamp, command)
        self._published = time.perf_counter()
        self.events["safe commands for stale states"] += 1
        return Tick(
            self.ticks,
            self._observation,
            None,
            command,
            0.0,
            age,
            float("nan"),
            self.missed,
            self.sent,
            0,
            self._newest_frame,
            self._targets("adopted"),
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    def _doubts(self) -> Reason:
        """What only the loop can see: an image target without recent features, a model that is not to be trusted."""
        doubts = Reason.LATE if self.age.late else Reason.NONE
        if self.age.held:
            doubts |= Reason.TOO_LATE
        if getattr(getattr(self.controller, "target_manager", None), "phase", "") == "lost":
            doubts |= Reason.FEATURES
        consistency = getattr(getattr(self.controller, "dynamics", None), "consistency", None)
        if consistency is not None and consistency.level == 0.0:
            doubts |= Reason.MODEL_INCONSISTENT
        if consistency is not None and consistency.hold:
            doubts |= Reason.MODEL_LOST
        return doubts

    def _wait_to_answer(self, arrival: Arrival, now: float) -> None:
        """Sleep until `answer_after` has passed, at `now` [s], since the state can have come."""
        if not self._answer_after:
            return
        left = self._way.earliest(arrival.observation.stamp, arrival.received) + self._answer_after - now
        if left > 0.0:
            time.sleep(left)

    def _late(self, arrival: Arrival) -> float:
        """By how many periods the command just sent came too late."""
        if self.lockstep:
            return 0.0
        arrived = arrival.received if arrival.clocked is None else arrival.clocked
        return self._lateness.periods(arrival.observation.stamp, arrived, self.clock())

    def _acted(self, arrival: Arrival, command: Command) -> Array:
        """What the robot felt: the command, or in shadow what it says it felt."""
        return arrival.effort if self.shadow and arrival.effort is not None else command.u

    def _targets(self, which: str) -> int:
        """How many targets have been accepted, or adopted by the target_manager in its last tick."""
        return getattr(getattr(self.controller, "target_manager", None), which, 0)

    def _publish(self, stamp: float, command: Command) -> None:
        self._send(stamp, command.u)
        self._last_command = (stamp, command.u)

    def _send(self, stamp: float, u: Array) -> None:
        self.sent += 1
        self.outputs.command(stamp, u)

    def _tell(self, tick: Tick) -> None:
        try:
            self.outputs.tick(tick)
        except Exception:  # the robot's commands matter more than what is said of them
            self._report("output errors")

    def _report(self, event: str) -> None:
        """Count the exception being handled; only the first of its kind is worth a traceback."""
        self.events[event] += 1
        if self.events[event] == 1:
            self.outputs.log("error", f"{event}, the first of them:\n{traceback.format_exc()}")

    def _known(self) -> Observation | None:
        """The newest observation while it is recent enough to act on."""
        return self._observation if self.lockstep or self._age() <= self.timeout else None

    def _with_frames(self, observation: Observation) -> Observation:
        """The observation with the frames exposed until then; in lockstep a frame counts from its latency on,
        whenever it came.
        """
        margin = 1e-6 - self._frame_latency if self.lockstep else 0.5 * self.dt
        frames = self.mailbox.frames_until(observation.stamp + margin)
        if frames:
            self._newest_frame = frames[-1].stamp
        return replace(observation, frames=frames) if frames else observation
