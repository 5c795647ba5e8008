"""The time of a simulation: /clock without its leaps, for mpc_node and for its guard.

    T_k = min(T_{k-1} + max(c_k - c_{k-1}, 0), T' + L),

with c_k the messages of /clock, L twice their usual step, and T' >= T_{k-1} the time of the newest state, with which
a coarse /clock is filled in. Whether /clock stands still is judged by the wall clock.
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
STANDING = 1.0  # [s] of wall time without a message of /clock after which it stands still ...
STANDING_STEPS = 5.0  # ... or so many of the usual times between two of them, if that is more
# as long the guard waits: mpc_node finds within 1.2 s that /clock stands still, and then sends safe commands
GUARD_STANDING, GUARD_STANDING_STEPS = 2.0, 8.0
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
            since = ahead if 0.0 < ahead <= max(COARSE_STEP, self._longest_step()) else 0.0
            self._latest = max(self._latest, self._time + since)
            return self._latest

    def clock_at(self, stamp: float) -> float:
        """Return the time of /clock when a state stamped `stamp` [s] arrives, which may be a step behind it [s]."""
        clock = self._update()
        with self._lock:
            step = COARSE_STEP if math.isnan(self._step) else max(COARSE_STEP, 1.5 * self._step)
        return clock + min(max(stamp - clock, 0.0), step)

    def add_state(self, stamp: float) -> None:
        """Take note of an accepted state stamped `stamp` [s]."""
        with self._lock:
            self._newest = stamp

    def stands(self) -> bool:
        """Whether /clock has stood still for longer than between its messages."""
        return self.overdue(STANDING, STANDING_STEPS) > 0.0

    @property
    def speed(self) -> float:
        """How fast simulated time usually passes [s/s]; 1 while it is not known."""
        with self._lock:
            return self._step / self._interval if self._interval > 0.0 else 1.0

    def overdue(self, least: float, steps: float) -> float:
        """Return for how long [s] of wall time the next message of /clock has been overdue, negative if it is not.

        That is from `least` [s], or `steps` of the usual times between two messages, if that is more, after the last.
        """
        self._update()
        return self.overdue_when_read(least, steps)

    def overdue_when_read(self, least: float, steps: float) -> float:
        """Return what `overdue` does, without reading /clock."""
        with self._lock:
            usual = 0.0 if math.isnan(self._interval) else steps * self._interval
            return self._wall() - self._changed - max(least, usual)

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
            taken = min(max(step, 0.0), max(self._latest - self._time, 0.0) + self._longest_step())
            self._time += taken
            if math.isnan(self._step):
                self._step, self._interval = taken, interval
            elif taken > 0.0:
                self._step += STEP_SMOOTHING * (min(step, GROWTH * self._step) - self._step)
                self._interval += STEP_SMOOTHING * (min(interval, GROWTH * self._interval) - self._interval)
            return clock


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

    def now(self) -> float:
        """Return the time [s]."""
        time = self._time.now()
        standing = max(0.0, self._time.overdue_when_read(GUARD_STANDING, GUARD_STANDING_STEPS))
        with self._lock:
            if standing < self._standing:
                self._stood += self._standing
            self._standing = standing
            return time + self._stood + standing

    def add_state(self, stamp: float) -> None:
        """Take note of a state stamped `stamp` [s]."""
        self._time.add_state(stamp)

    @property
    def speed(self) -> float:
        """How fast simulated time usually passes [s/s]."""
        return self._time.speed

    @property
    def stands(self) -> bool:
        """Whether /clock stands still or has not begun."""
        return not self._time.started or self._time.overdue(GUARD_STANDING, GUARD_STANDING_STEPS) > 0.0
