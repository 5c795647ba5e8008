"""Elapsed time, the leaps of stamps and clocks, and the age of the newest state.

Elapsed time is the sum of the accepted steps between the stamps of the states. The message stamped s_k that arrives at
a_k by a clock that does not leap has leapt ahead of it by

    max(0, min_j (a_j - s_j) - (a_k - s_k)),

since no message can come faster than the fastest one by so much. Beyond a bound its stamp begins a new time line. In a
simulation the clock is /clock, whose own leaps are taken out first:

    T_k = T_{k-1} + min(max(c_k - c_{k-1}, 0), L),

with c_k the messages of /clock and L twice their usual step. Whether /clock stands still is judged by the wall clock.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

FASTEST_KEPT = 30.0  # [s]: the fastest message is remembered for one to two of these
SMALLEST_LEAP = 0.02  # [s]: a message cannot come that much faster than the fastest one before it ...
LEAP_PERIODS = 3.0  # ... nor by so many periods, where those are longer
STANDING = 1.0  # [s] of wall time without a message of /clock after which it stands still ...
STANDING_STEPS = 5.0  # ... or so many of the usual times between two of them, if that is more
STEP_SMOOTHING, GROWTH = 0.2, 4.0  # of the usual step of /clock: per message, and by how much it may grow at once


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


class SimulatedTime:
    """The time of a simulation without its leaps, from any thread.

    Parameters
    ----------
    read
        returns the newest time of /clock [s], 0 before the first.
    dt
        the control period [s].
    timeout
        of the newest state [s].
    wall
        the processor's monotonic clock [s].
    """

    def __init__(
        self, read: Callable[[], float], dt: float, timeout: float, wall: Callable[[], float] = time.perf_counter
    ):
        self._read, self._wall = read, wall
        self._least_step = max(0.5 * timeout, LEAP_PERIODS * dt)
        self._lock = threading.Lock()
        self._clock = self._newest = 0.0  # the newest time of /clock, the newest stamp of a state [s]
        self._time = self._latest = 0.0  # T; the latest time that was returned [s]
        self._step = self._interval = math.nan  # of /clock, usually: simulated, and of wall time [s]
        self._changed = wall()

    @property
    def started(self) -> bool:
        """Whether /clock has been heard."""
        return self._update() > 0.0

    def now(self) -> float:
        """Return T, or the time of the newest state where /clock, with its coarse steps, is behind it [s]."""
        self._update()
        with self._lock:
            ahead = self._newest - self._clock
            since = ahead if 0.0 < ahead <= self._longest_step() else 0.0
            self._latest = max(self._latest, self._time + since)
            return self._latest

    def clock_at(self, stamp: float) -> float:
        """Return the time of /clock when a state stamped `stamp` [s] arrives, which may be a step behind it [s]."""
        clock = self._update()
        with self._lock:
            step = 0.0 if math.isnan(self._step) else 1.5 * self._step
        return clock + min(max(stamp - clock, 0.0), step)

    def add_state(self, stamp: float) -> None:
        """Take note of an accepted state stamped `stamp` [s]."""
        with self._lock:
            self._newest = stamp

    def stands(self) -> bool:
        """Whether /clock has stood still for longer than between its messages."""
        self._update()
        with self._lock:
            usual = 0.0 if math.isnan(self._interval) else STANDING_STEPS * self._interval
            return self._wall() - self._changed > max(STANDING, usual)

    def _longest_step(self) -> float:
        return self._least_step if math.isnan(self._step) else max(self._least_step, 2.0 * self._step)

    def _update(self) -> float:
        """Take in the newest time of /clock and return it [s]."""
        with self._lock:
            clock, wall = self._read(), self._wall()
            if clock == self._clock:
                return clock
            step, self._clock = clock - self._clock, clock
            interval, self._changed = wall - self._changed, wall
            if self._time == 0.0:  # the first one
                self._time = clock
                return clock
            taken = min(max(step, 0.0), self._longest_step())
            self._time += taken
            if math.isnan(self._step):
                self._step, self._interval = taken, interval
            elif taken > 0.0:
                self._step += STEP_SMOOTHING * (min(step, GROWTH * self._step) - self._step)
                self._interval += STEP_SMOOTHING * (min(interval, GROWTH * self._interval) - self._interval)
            return clock


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
