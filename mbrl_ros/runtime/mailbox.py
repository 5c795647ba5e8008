"""The mailbox: one thread puts states and features in, the control thread waits for the next state.

In real time only the newest state that is due counts: due for a tick, at the control rate, or, between ticks, for the
feedback player at its own rate (scheduling.Grid). In lockstep every state is kept, in order.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..types import Array, FeatureFrame, Observation, quick_init
from .scheduling import Grid

SHORTEST_WAIT = 2e-4  # [s]: simulated time may stand still; looking at it more often would keep a processor busy
STAMP_ROUNDING = 1e-6  # [s] of stamps, forgiven where a frame falls on the border of a state


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Arrival:
    """A state as it came in.

    Parameters
    ----------
    observation
        the state.
    received
        when it came, by the processor's monotonic clock [s].
    effort
        the measured effort (n,) [N m or N]; None: not measured.
    restarted
        whether its stamps begin a new time line.
    due
        whether it is due for a tick; else the feedback player answers it.
    clocked
        when it came by the loop's clock [s]; None: that is the processor's.
    repeated
        whether the message is the one before, sent again: its answer may have been lost.
    """

    observation: Observation
    received: float
    effort: Array | None = None
    restarted: bool = False
    due: bool = True
    clocked: float | None = None
    repeated: bool = False


class Mailbox:
    """States and feature frames on their way to the control thread.

    Parameters
    ----------
    dt
        the control period [s].
    lockstep
        keep every state.
    player_period
        the period of the feedback player [s]; None without one.
    events
        counts the states that were overtaken by a newer one.
    frame_latency
        in lockstep a frame counts from this long after its exposure on [s], whenever it came.
    """

    def __init__(
        self,
        dt: float,
        *,
        lockstep: bool,
        player_period: float | None,
        events: Counter[str],
        frame_latency: float = 0.0,
    ):
        self._lockstep, self._events = lockstep, events
        # a frame belongs to the first state that is stamped no earlier than its exposure less this
        self._frame_margin = STAMP_ROUNDING - frame_latency if lockstep else 0.5 * dt
        self._grid = Grid(dt)
        self._player_grid = None if player_period is None else Grid(player_period)
        self._condition = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._frames: deque[FeatureFrame] = deque(maxlen=64)
        self._closed = True

    @property
    def waiting(self) -> bool:
        """Whether a state waits for its tick."""
        return bool(self._arrivals)

    def open(self) -> None:
        """Let `take` wait for states."""
        with self._condition:
            self._closed = False

    def close(self) -> None:
        """Wake the waiting thread and let `take` return None."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def put(self, arrival: Arrival) -> None:
        """Take in a state, unless it is due neither for a tick nor for the player."""
        with self._condition:
            if not self._lockstep or self._player_grid is not None:
                judged = self._judged(arrival)
                if judged is None:
                    return
                arrival = judged
            if self._closed:  # no thread answers them: the newest will do
                self._arrivals.clear()
            if self._arrivals and self._arrivals[-1].repeated:  # its answer is overtaken
                self._arrivals.pop()
            if self._arrivals and not self._lockstep:
                last = self._arrivals.pop()
                self._events["states overtaken"] += last.due
                arrival = replace(arrival, restarted=last.restarted or arrival.restarted, due=last.due or arrival.due)
            self._arrivals.append(arrival)
            self._condition.notify()

    def put_repeated(self, arrival: Arrival) -> None:
        """Take in a state that came twice, unless its first copy or a newer state still waits, or nobody answers."""
        with self._condition:
            if not self._closed and not self._arrivals:
                self._arrivals.append(replace(arrival, due=False, repeated=True))
                self._condition.notify()

    def put_frame(self, frame: FeatureFrame) -> None:
        """Take in a feature frame."""
        self._frames.append(frame)

    def take(self, left: Callable[[], float] | None) -> Arrival | None:
        """Return the next state, with its feature frames if it is due.

        Parameters
        ----------
        left
            returns for how long to wait [s]; None: without end.

        Returns
        -------
        Arrival or None
            None once no time is left, or when the mailbox is closed.
        """
        with self._condition:
            while not self._arrivals and not self._closed:
                if left is None:
                    self._condition.wait()
                    continue
                remaining = left()
                if remaining <= 0.0:
                    return None
                self._condition.wait(max(remaining, SHORTEST_WAIT))
            if not self._arrivals or self._closed:
                return None
            arrival = self._arrivals.popleft()
        return self.with_frames(arrival) if arrival.due else arrival

    def with_frames(self, arrival: Arrival) -> Arrival:
        """Return the arrival with the waiting frames that belong to it; later ones wait."""
        frames = []
        while self._frames and self._frames[0].stamp <= arrival.observation.stamp + self._frame_margin:
            frames.append(self._frames.popleft())
        if not frames:
            return arrival
        return replace(arrival, observation=replace(arrival.observation, frames=tuple(frames)))

    def _judged(self, arrival: Arrival) -> Arrival | None:
        """Return the arrival, marked as due or for the player; None if neither wants it."""
        if arrival.restarted:
            self._grid.reset()
        stamp = arrival.observation.stamp
        due, playable = self._grid.take(stamp), self._player_grid is not None and self._player_grid.take(stamp)
        if not (due or playable or self._lockstep):
            return None
        return arrival if due else replace(arrival, due=False)
