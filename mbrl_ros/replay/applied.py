"""The command that acted during a recorded tick, and the recorded command that a replayed one is compared with."""

from __future__ import annotations

import numpy as np

from ..runtime.mailbox import Arrival
from ..types import Array
from .notes import BagClock
from .recorded import RecordedCommands


class RecordedApplied:
    """Where the command in effect comes from, by `source`.

    answers    the recorded command that answers the same state, else the replayed one
    held       the mean over the tick of a topic of another controller, 0 before its first command
    effort     the measured effort of the joint state, else the replayed command
    none       0
    """

    def __init__(self, source: str, commands: RecordedCommands, clock: BagClock, dt: float):
        self._source, self._commands, self._clock, self._dt = source, commands, clock, dt

    def applied(self, arrival: Arrival, u: Array) -> Array:
        """Return the command (nu,) that acted where the replay published u (nu,)."""
        if self._source == "answers":
            answer = self._commands.answer(arrival.observation.stamp)
            return u if answer is None else answer
        if self._source == "effort":
            return u if arrival.effort is None else arrival.effort
        mean = self._mean() if self._source == "held" else None
        return np.zeros(self._commands.n) if mean is None else mean

    def recorded(self, stamp: float) -> Array | None:
        """Return the recorded command (nu,) for the state stamped `stamp` [s]; None if there is none."""
        return self._mean() if self._source == "held" else self._commands.answer(stamp)

    def _mean(self) -> Array | None:
        return self._commands.mean(self._clock.now, self._clock.now + self._dt)
