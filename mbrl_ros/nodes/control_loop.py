"""The control thread: waits for a state, makes the tick, hands out the command first and everything else after it.

Messages are stored by another thread (`offer`, `offer_frame`). A tick begins with the arrival of the first state due by
its stamp (timing.Grid), so its phase locks to the robot's; when none arrives within 1.5 periods the tick is missed and
counted, and once the newest state is older than the time-out the safe command goes out every period. In lockstep every
state gets exactly one command, in the order of the stamps, and no clock is asked. This file knows no ROS.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..supervisor import Command, Supervisor
from ..timing import Grid, Rolling
from ..types import Array, Decision, FeatureFrame, Observation

LATE = 1.5  # periods without a state after which a tick counts as missed


@dataclass(frozen=True, eq=False, slots=True)
class Arrival:
    """A state as it came in: `received` [s] in the loop's clock, the measured effort (n,) or None, and whether its
    stamps begin a new time line."""

    observation: Observation
    received: float
    effort: Array | None = None
    restarted: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Tick:
    """What happened in one tick. compute, latency (arrival to command) and period [s]; decision None: no decision."""

    index: int
    observation: Observation
    decision: Decision | None
    command: Command
    compute: float
    latency: float
    period: float
    missed: int


class Outputs(Protocol):
    """Where a tick's results go. `log(level, text)`: level is "info", "warning" or "error"."""

    def command(self, stamp: float, u: Array) -> None: ...

    def tick(self, tick: Tick) -> None: ...

    def log(self, level: str, text: str) -> None: ...


class ControlLoop:
    """One thread between start() and stop(). controller: the seam of controller.py."""

    def __init__(self, controller: Any, supervisor: Supervisor, outputs: Outputs, *, dt: float, timeout: float,
                 lockstep: bool = False, frame_latency: float = 0.0, shadow: bool = False,
                 clock: Callable[[], float] = time.perf_counter):
        self.controller, self.supervisor, self.outputs = controller, supervisor, outputs
        self.dt, self.timeout, self.lockstep, self.shadow, self.clock = dt, timeout, lockstep, shadow, clock
        self._frame_latency = frame_latency if lockstep else 0.0
        self.compute, self.latency, self.period = Rolling(), Rolling(), Rolling()
        self.events: Counter[str] = Counter()
        self.ticks = self.missed = 0
        self._condition = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._frames: deque[FeatureFrame] = deque(maxlen=64)
        self._calls: deque[Callable[[], None]] = deque()
        self._grid = Grid(dt)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._observation: Observation | None = None
        self._last_command: tuple[float, Array] | None = None
        self._published = self._received = -float("inf")

    @property
    def running(self) -> bool:
        return self._thread is not None

    # --- from any thread ------------------------------------------------------------------------------------------

    def offer(self, arrival: Arrival) -> None:
        """A state has arrived. Unless in lockstep, only the newest one that is due waits for its tick."""
        with self._condition:
            self._received = arrival.received
            if not self.lockstep:
                if arrival.restarted:
                    self._grid.reset()
                if not self._grid.take(arrival.observation.stamp):
                    return
                if self._arrivals:
                    self.events["states overtaken"] += 1
                    restarted = self._arrivals.pop().restarted or arrival.restarted
                    arrival = Arrival(arrival.observation, arrival.received, arrival.effort, restarted)
            self._arrivals.append(arrival)
            self._condition.notify()

    def offer_frame(self, frame: FeatureFrame) -> None:
        self._frames.append(frame)

    def call(self, function: Callable[[], None]) -> None:
        """Run `function` in the control thread before its next tick."""
        self._calls.append(function)

    def repeat_command(self) -> None:
        """Send the last command again: a state that came twice may mean that its answer was lost."""
        if self._last_command is not None:
            self.outputs.command(*self._last_command)

    def start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; its last act is the safe command."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # --- in the control thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            arrival = self._next()
            if self._stopping:
                break
            if arrival is None:
                self._miss()
            else:
                self._tick(arrival)
        if self._observation is not None:
            self._publish(self._observation.stamp, self.supervisor.stop(self._known()))

    def _next(self) -> Arrival | None:
        """The next state; None when it is overdue or the loop is stopping."""
        with self._condition:
            while not self._arrivals and not self._stopping:
                if self.lockstep or self._observation is None:
                    self._condition.wait()
                    continue
                left = self._deadline - self.clock()
                if left <= 0.0:
                    return None
                self._condition.wait(left)
            return self._arrivals.popleft() if self._arrivals and not self._stopping else None

    def _tick(self, arrival: Arrival) -> None:
        begin = self.clock()
        while self._calls:
            self._calls.popleft()()
        observation = self._with_frames(arrival.observation)
        decision = None
        try:
            self._prepare(observation, arrival.restarted)
            decision = self.controller.step(observation)
            command = self.supervisor.filter(decision, observation)
        except Exception:  # whatever a controller does, the robot gets a safe command
            self._report("controller errors")
            command = self.supervisor.failed(observation)
        self._observation = observation
        self._publish(observation.stamp, command)
        done = self.clock()
        acted = arrival.effort if self.shadow and arrival.effort is not None else command.u
        try:
            self.controller.record(observation.stamp, acted)
        except Exception:
            self._report("controller errors")
        period = done - self._published if self.ticks else float("nan")
        self._published, self._deadline = done, done + LATE * self.dt
        self.compute.add(done - begin)
        self.latency.add(done - arrival.received)
        if self.ticks:
            self.period.add(period)
        self.ticks += 1
        self._tell(Tick(self.ticks, observation, decision, command, done - begin, done - arrival.received, period,
                        self.missed))

    def _prepare(self, observation: Observation, restarted: bool) -> None:
        """Before a decision: begin, or begin again where the robot is after an interruption."""
        if self._observation is None:
            self.controller.reset(observation)
            self.supervisor.reset(observation)
        elif restarted or self.supervisor.resuming:
            self.controller.resume(observation, self._last_command[1])

    def _miss(self) -> None:
        """No state came in time: after the time-out the safe command goes out, before that the last one stands."""
        now = self.clock()
        self._deadline = max(self._deadline + self.dt, now)
        self.missed += 1
        if now - self._received <= self.timeout:
            return
        command = self.supervisor.silent(now - self._received)
        self._publish(self._observation.stamp, command)
        self._published = self.clock()
        self.events["safe commands for stale states"] += 1
        self._tell(Tick(self.ticks, self._observation, None, command, 0.0, now - self._received, float("nan"),
                        self.missed))

    def _publish(self, stamp: float, command: Command) -> None:
        self.outputs.command(stamp, command.u)
        self._last_command = (stamp, command.u)

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
        recent = self.lockstep or self.clock() - self._received <= self.timeout
        return self._observation if recent else None

    def _with_frames(self, observation: Observation) -> Observation:
        """The observation with the frames exposed until then; later ones wait.

        In lockstep a frame counts as arrived when it is `frame_latency` old, whenever it came.
        """
        frames, newest = [], observation.stamp - self._frame_latency + (1e-6 if self.lockstep else 0.5 * self.dt)
        while self._frames and self._frames[0].stamp <= newest:
            frames.append(self._frames.popleft())
        if not frames:
            return observation
        return Observation(observation.stamp, observation.q, observation.qd, tuple(frames))
