"""The bag's time, and notes of what happened at which time of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_NOTES = 200


class BagClock:
    """The time of the bag [s]: when the present message was recorded. It stands still between messages."""

    def __init__(self) -> None:
        self._now = self._first = math.nan

    @property
    def now(self) -> float:
        """When the present message was recorded [s]; NaN before the first."""
        return self._now

    @property
    def since_begin(self) -> float:
        """How long after the first message of the bag that is [s]; 0 before the first."""
        return 0.0 if math.isnan(self._now) else self._now - self._first

    def begin(self, first: float) -> None:
        """Set when the bag begins [s]."""
        self._first = first

    def advance(self, now: float) -> None:
        """Set the present time [s]."""
        self._now = now


@dataclass(frozen=True)
class TimedNote:
    """Something worth a line: `time` [s] since the beginning of the bag."""

    time: float
    text: str


class Notes:
    """The first MOST_NOTES notes of a replay. Those that `warn` also stand above the result, in `headline`."""

    def __init__(self, clock: BagClock, headline: list[str]):
        self._clock, self._headline = clock, headline
        self.entries: list[TimedNote] = []

    def add(self, text: str) -> None:
        """Note something at the present time of the bag."""
        if len(self.entries) < MOST_NOTES:
            self.entries.append(TimedNote(self._clock.since_begin, text))

    def warn(self, text: str) -> None:
        """Note what makes the replay another run than the recorded one."""
        self.add(text)
        self._headline.append(text)
