"""The time of a simulation: /clock without its leaps, for mpc_node and for its guard.

    T_k = min(T_{k-1} + max(c_k - c_{k-1}, 0), T' + L),

with c_k the messages of /clock, L twice their usual step, and T' >= T_{k-1} the time of the newest state, with which
a coarse /clock is filled in. Whether /clock stands still is judged by the wall clock.

Where /clock is silent and states go on, their stamps take the place of its messages, as long as they go on from one
that /clock has confirmed in steps of at most COARSE_STEP: a leap is not taken for time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

LEAP_PERIODS = 3.0  # control periods that are a leap, where no step of /clock is known yet
COARSE_STEP = (
    0.1  # [s] step of /clock that is allowed for before it has been seen: simulators send it at 10 Hz or faster
)
# without a message of /clock for so long [s], in wall time or by the stamps, and for so many states, their stamps take
# its place; not before so many of its usual steps, if that is more
CLOCK_SILENT, SILENT_STATES, SILENT_STEPS = 0.05, 5, 1.8
STANDING = 1.0  # [s] of wall time without a message of /clock after which it stands still ...
STANDING_STEPS = 5.0  # ... or so many of the usual times between two of them, if that is more
# as long the guard waits: mpc_node finds within 1.2 s that /clock stands still, and then sends safe commands
GUARD_STANDING, GUARD_STANDING_STEPS = 2.0, 8.0
STANDING_TIMEOUT = 0.2  # [s] of wall time without a command, since the simulated arm most probably stands as well
GUARD_PERIOD, GUARD_STATE_TIMEOUT = 0.01, 0.05  # [s]: for the longest step of /clock while its usual one is not known
STEP_SMOOTHING, GROWTH = 0.2, 4.0  # of the usual step of /clock: per message, and by how much it may grow at once


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
        self._read_last = 0.0  # the newest time of /clock [s]
        # the same, or the stamp that takes its place; the newest stamp of an accepted state [s]
        self._clock = self._newest = 0.0
        self._confirmed = math.nan  # the newest stamp of a state that goes on from one that /clock has confirmed [s]
        self._by_stamps, self._states = False, 0  # whether stamps take its place; states since its last message
        self._time = self._latest = 0.0  # T; the latest time that was returned [s]
        self._step = self._interval = math.nan  # of /clock, usually: simulated, and of wall time [s]
        self._changed = self._moved = wall()  # when /clock came last, or a stamp that took its place [s]

    @property
    def started(self) -> bool:
        """Whether /clock has been heard."""
        return self._update() > 0.0

    def now(self) -> float:
        """Return T, or the time of the newest state where /clock, with its coarse steps, is behind it [s]."""
        self._update()
        with self._lock:
            ahead = self._newest - self._clock
            since = ahead if 0.0 < ahead <= max(COARSE_STEP, self._longest_step()) else 0.0
            self._latest = max(self._latest, self._time + since)
            return self._latest

    def clock_at(self, stamp: float) -> float:
        """Return the time of /clock when a state stamped `stamp` [s] arrives, which may be a step behind it [s]."""
        self.follow(stamp)
        with self._lock:
            clock = self._clock
            step = COARSE_STEP if math.isnan(self._step) else max(COARSE_STEP, 1.5 * self._step)
            return clock + min(max(stamp - clock, 0.0), step)

    def follow(self, stamp: float) -> None:
        """Take note that a state stamped `stamp` [s] has come, accepted or not: /clock may be silent."""
        self._update()
        with self._lock:
            if not 0.0 < stamp - self._confirmed <= COARSE_STEP:
                return
            self._confirmed, wall = stamp, self._wall()
            self._states += 1
            if self._states >= SILENT_STATES and stamp > self._clock and self._is_silent(stamp, wall):
                self._by_stamps, self._moved = True, wall
                self._advance(stamp)

    def add_state(self, stamp: float) -> None:
        """Take note of an accepted state stamped `stamp` [s]."""
        with self._lock:
            self._newest = stamp
            if not 0.0 <= stamp - self._confirmed <= COARSE_STEP and abs(stamp - self._clock) <= COARSE_STEP:
                self._confirmed = stamp

    def stands(self) -> bool:
        """Whether time has stood still for longer than between messages of /clock."""
        return self.overdue(STANDING, STANDING_STEPS) > 0.0

    @property
    def silent(self) -> bool:
        """Whether no message of /clock has come for as long, and the stamps of states have taken its place."""
        with self._lock:
            usual = 0.0 if math.isnan(self._interval) else STANDING_STEPS * self._interval
            return self._by_stamps and self._wall() - self._changed > max(STANDING, usual)

    @property
    def set_back(self) -> bool:
        """Whether /clock is behind the newest state by more than its steps: it was set back, no state came since."""
        self._update()
        with self._lock:
            return self._newest - self._clock > max(COARSE_STEP, self._longest_step())

    @property
    def speed(self) -> float:
        """How fast simulated time usually passes [s/s]; 1 while it is not known."""
        with self._lock:
            return self._step / self._interval if self._interval > 0.0 else 1.0

    def overdue(self, least: float, steps: float) -> float:
        """Return for how long [s] of wall time time has stood still beyond what is usual, negative if it does not.

        That is from `least` [s], or `steps` of the usual times between two messages, if that is more, after the last.
        """
        self._update()
        return self.overdue_when_read(least, steps)

    def overdue_when_read(self, least: float, steps: float) -> float:
        """Return what `overdue` does, without reading /clock."""
        with self._lock:
            usual = 0.0 if math.isnan(self._interval) else steps * self._interval
            return self._wall() - self._moved - max(least, usual)

    def _is_silent(self, stamp: float, wall: float) -> bool:
        """Return whether stamps take the place of /clock already, or have to from the state stamped `stamp` [s] on."""
        step, interval = (COARSE_STEP, COARSE_STEP) if math.isnan(self._step) else (self._step, self._interval)
        return (
            self._by_stamps
            or wall - self._changed > max(CLOCK_SILENT, SILENT_STEPS * interval)
            or stamp - self._clock > max(CLOCK_SILENT, SILENT_STEPS * step)
        )

    def _longest_step(self) -> float:
        return self._least_step if math.isnan(self._step) else max(self._least_step, 2.0 * self._step)

    def _update(self) -> float:
        """Take in the newest time of /clock and return it, or the stamp that takes its place [s]."""
        with self._lock:
            clock, wall = self._read(), self._wall()
            if clock == self._read_last:
                return self._clock
            self._read_last, self._states = clock, 0
            interval, self._changed, self._moved = wall - self._changed, wall, wall
            if self._time == 0.0:  # the first one
                self._time = self._clock = clock
                return clock
            if self._by_stamps and 0.0 < self._clock - clock <= COARSE_STEP:
                return self._clock  # it is back, but not yet where the stamps were
            self._by_stamps = False
            step = clock - self._clock
            taken = self._advance(clock)
            if math.isnan(self._step):
                self._step, self._interval = taken, interval
            elif taken > 0.0:
                self._step += STEP_SMOOTHING * (min(step, GROWTH * self._step) - self._step)
                self._interval += STEP_SMOOTHING * (min(interval, GROWTH * self._interval) - self._interval)
            return clock

    def _advance(self, clock: float) -> float:
        """Let time go on with `clock` [s], of /clock or a stamp in its place; return by how much it does [s]."""
        step, self._clock = clock - self._clock, clock
        taken = min(max(step, 0.0), max(self._latest - self._time, 0.0) + self._longest_step())
        self._time += taken
        return taken


class GuardTime:
    """Simulated time that goes on with the wall clock while /clock stands still; from any thread.

    Parameters
    ----------
    read, wall
        as in SimulatedTime.
    """

    def __init__(self, read: Callable[[], float], wall: Callable[[], float] = time.monotonic):
        self._time = SimulatedTime(read, GUARD_PERIOD, GUARD_STATE_TIMEOUT, wall)
        self._lock = threading.Lock()
        self._stood = self._standing = 0.0  # [s] that /clock stood still, until its newest message and after it
        self._patient_until = -math.inf  # [s]

    def now(self) -> float:
        """Return the time [s]."""
        time = self._time.now()
        standing = max(0.0, self._time.overdue_when_read(GUARD_STANDING, GUARD_STANDING_STEPS))
        with self._lock:
            if standing < self._standing:
                self._stood += self._standing
                self._patient_until = time + self._stood + STANDING_TIMEOUT
            self._standing = standing
            return time + self._stood + standing

    def add_state(self, stamp: float) -> None:
        """Take note of a state stamped `stamp` [s]."""
        self._time.follow(stamp)
        self._time.add_state(stamp)

    @property
    def speed(self) -> float:
        """How fast simulated time usually passes [s/s]."""
        return self._time.speed

    def least_timeout(self) -> float:
        """Return after how long [s], at least, a command counts as missing: also one from before /clock was back."""
        return STANDING_TIMEOUT if self.stands or self.now() < self._patient_until else 0.0

    @property
    def stands(self) -> bool:
        """Whether /clock stands still or has not begun."""
        return not self._time.started or self._time.overdue(GUARD_STANDING, GUARD_STANDING_STEPS) > 0.0
