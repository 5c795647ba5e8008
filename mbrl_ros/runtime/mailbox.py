"""Where one thread puts what arrives and the control thread waits for it.

In real time only the newest state that is due counts: due for a tick, at the control rate, or, between ticks, for the
feedback player at its own rate (timing.Grid). In lockstep every state is kept, in order.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..types import Array, FeatureFrame, Observation
from .scheduling import Grid

SHORTEST_WAIT = 2e-4  # [s]: simulated time may stand still; looking at it more often would keep a processor busy


@dataclass(frozen=True, eq=False, slots=True)
class Arrival:
    """A state as it came in: `received` [s] by perf_counter, the measured effort (n,) or None, whether its stamps begin
    a new time line, whether it is due for a tick (else the player answers it), and when it came by the loop's clock [s]
    (None: that is perf_counter).
    """

    observation: Observation
    received: float
    effort: Array | None = None
    restarted: bool = False
    due: bool = True
    clocked: float | None = None


class Mailbox:
    """player_period [s]: None without a player. `events` counts the states that were overtaken."""

    def __init__(self, dt: float, *, lockstep: bool, player_period: float | None, events: Counter[str]):
        self._lockstep, self._events = lockstep, events
        self._grid = Grid(dt)
        self._player_grid = None if player_period is None else Grid(player_period)
        self._condition = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._frames: deque[FeatureFrame] = deque(maxlen=64)
        self._closed = True

    def open(self) -> None:
        with self._condition:
            self._closed = False

    def close(self) -> None:
        """Wake the waiting thread for good."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def put(self, arrival: Arrival) -> None:
        with self._condition:
            if not self._lockstep or self._player_grid is not None:
                arrival = self._judged(arrival)
                if arrival is None:
                    return
            if self._closed:  # nobody works on them: the newest will do
                self._arrivals.clear()
            if self._arrivals and not self._lockstep:
                last = self._arrivals.pop()
                self._events["states overtaken"] += last.due
                arrival = replace(arrival, restarted=last.restarted or arrival.restarted, due=last.due or arrival.due)
            self._arrivals.append(arrival)
            self._condition.notify()

    def put_frame(self, frame: FeatureFrame) -> None:
        self._frames.append(frame)

    def take(self, left: Callable[[], float] | None) -> Arrival | None:
        """The next state; None once left() [s] is used up, or when the mailbox is closed. left None: wait for ever."""
        with self._condition:
            while not self._arrivals and not self._closed:
                if left is None:
                    self._condition.wait()
                    continue
                remaining = left()
                if remaining <= 0.0:
                    return None
                self._condition.wait(max(remaining, SHORTEST_WAIT))
            return self._arrivals.popleft() if self._arrivals and not self._closed else None

    def frames_until(self, stamp: float) -> tuple[FeatureFrame, ...]:
        """The feature frames exposed until `stamp` [s]; later ones wait."""
        frames = []
        while self._frames and self._frames[0].stamp <= stamp:
            frames.append(self._frames.popleft())
        return tuple(frames)

    def _judged(self, arrival: Arrival) -> Arrival | None:
        """The arrival, marked as due or for the player; None if neither wants it."""
        if arrival.restarted:
            self._grid.reset()
        stamp = arrival.observation.stamp
        due, playable = self._grid.take(stamp), self._player_grid is not None and self._player_grid.take(stamp)
        if not (due or playable or self._lockstep):
            return None
        return arrival if due else replace(arrival, due=False)
