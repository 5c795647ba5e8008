"""The leaps of stamps, and the age of the newest state.

Elapsed time is the sum of the accepted steps between the stamps of the states. The message stamped s_k that arrives at
a_k by a clock that does not leap has leapt ahead of it by

    max(0, min_j (a_j - s_j) - (a_k - s_k)),

since no message can come faster than the fastest one by so much. Beyond a bound its stamp begins a new time line. In a
simulation the clock is /clock, whose own leaps are taken out first (guard/simulated_time.py).
"""

from __future__ import annotations

import math

from ..guard.simulated_time import LEAP_PERIODS

FASTEST_KEPT = 30.0  # [s]: the fastest message is remembered for one to two of these
# [s]: a message cannot come that much faster than the fastest one before it, nor by LEAP_PERIODS periods
SMALLEST_LEAP = 0.02


class StampJudge:
    """Judges whether the stamp of an accepted state has leapt ahead, for the control period `dt` [s]."""

    def __init__(self, dt: float):
        self._bound = max(SMALLEST_LEAP, LEAP_PERIODS * dt)
        self._last = math.nan
        self._older = self._newer = math.inf
        self._window_start = -math.inf

    def forget(self) -> None:
        """Judge the next state like the first one."""
        self._last = math.nan
        self._older = self._newer = math.inf
        self._window_start = -math.inf

    def leap(self, stamp: float, arrived: float) -> float:
        """Return by how much [s] the state stamped `stamp` [s] has leapt ahead; 0 if it continues the ones before.

        Parameters
        ----------
        stamp
            of the state, later than the last one [s].
        arrived
            when it came, by a clock that does not leap [s].
        """
        offset, last = arrived - stamp, self._last
        ahead = min(self._older, self._newer) - offset
        if stamp - last > self._bound and self._bound < ahead < math.inf:
            self.forget()
        else:
            ahead = 0.0
        if arrived - self._window_start > FASTEST_KEPT:
            self._window_start, self._older, self._newer = arrived, self._newer, math.inf
        self._newer, self._last = min(self._newer, offset), stamp
        return ahead


class StateAge:
    """The age of the newest state by a clock that does not leap: its age on arrival and what has elapsed since."""

    def __init__(self) -> None:
        self._noted = (math.inf, 0.0)  # age on arrival, when that was [s]

    def add_state(self, age: float, now: float) -> None:
        """Take note of a state that is `age` [s] old at `now` [s]."""
        self._noted = (max(age, 0.0), now)

    def at(self, now: float) -> float:
        """Return the age at `now` [s]; infinite before the first state."""
        age, arrived = self._noted
        return age + max(0.0, now - arrived)
