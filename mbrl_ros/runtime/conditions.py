"""The conditions of a tick: live ones, by a clock, and stepped ones, which a replay, benchmark or test sets."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..types import Array
from .interfaces import Clock
from .mailbox import Arrival
from .scheduling import Lateness

LONGEST_WAIT = 0.35  # of a period: a command is kept back no longer


class SystemClock:
    """A `Clock` in the processor's time, or with deadlines in simulated time.

    Parameters
    ----------
    age
        returns the age of the newest state by its stamp [s].
    now
        returns the time of deadlines [s].
    """

    def __init__(self, age: Callable[[], float], now: Callable[[], float] = time.perf_counter):
        self._age, self._now = age, now

    def now(self) -> float:
        """Return the time of deadlines [s]."""
        return self._now()

    def elapsed(self) -> float:
        """Return the processor's monotonic time [s]."""
        return time.perf_counter()

    def age(self) -> float:
        """Return the age of the newest state by its stamp [s]."""
        return self._age()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` [s]."""
        time.sleep(seconds)


class LiveConditions:
    """The conditions of a running robot.

    In lockstep nothing is late, nothing waits and every state is recent, whatever the clock says.

    Parameters
    ----------
    clock
        tells the time.
    dt
        the control period [s].
    timeout
        a state older than this [s] is not acted on.
    answer_after
        a command leaves no earlier than this long after its state can have come [s]. The time that computing and
        transport take varies, and a constant delay is easier to learn.
    shadow
        another controller drives the robot: what acts is the measured effort, where it was measured.
    """

    def __init__(
        self,
        clock: Clock,
        dt: float,
        timeout: float,
        *,
        lockstep: bool = False,
        answer_after: float = 0.0,
        shadow: bool = False,
    ):
        self._clock, self._timeout, self._lockstep, self._shadow = clock, timeout, lockstep, shadow
        self._answer_after = 0.0 if lockstep else min(answer_after, LONGEST_WAIT * dt)
        # by the clock with which stamps are compared, and by the one that measures the wait
        self._lateness, self._transport = Lateness(dt), Lateness(dt)

    def wait_to_answer(self, arrival: Arrival) -> None:
        """Wait until `answer_after` has passed since the state can have come."""
        if not self._answer_after:
            return
        earliest = self._transport.earliest(arrival.observation.stamp, arrival.received)
        left = earliest + self._answer_after - self._clock.elapsed()
        if left > 0.0:
            self._clock.sleep(left)

    def lateness(self, arrival: Arrival) -> float:
        """Return by how many periods the command just published came too late."""
        if self._lockstep:
            return 0.0
        arrived = arrival.received if arrival.clocked is None else arrival.clocked
        return self._lateness.periods(arrival.observation.stamp, arrived, self._clock.now())

    def applied(self, arrival: Arrival, u: Array) -> Array:
        """Return u (nu,), or in shadow the measured effort."""
        return arrival.effort if self._shadow and arrival.effort is not None else u

    def state_is_recent(self) -> bool:
        """Return whether the newest state is no older than the time-out."""
        return self._lockstep or self._clock.age() <= self._timeout

    def restart(self) -> None:
        """Forget how fast messages came."""
        self._lateness.reset()
        self._transport.reset()


class SteppedConditions:
    """Conditions that the caller sets before a tick; `applied_by(arrival, u)` returns the command (nu,) that acts."""

    def __init__(self, applied_by: Callable[[Arrival, Array], Array] = lambda arrival, u: u):
        self._applied_by = applied_by
        self._lateness, self._recent = 0.0, True

    def set_lateness(self, periods: float) -> None:
        """Let the commands from now on come `periods` too late."""
        self._lateness = periods

    def set_recent(self, recent: bool) -> None:
        """Say whether the newest state is recent enough to act on."""
        self._recent = recent

    def wait_to_answer(self, arrival: Arrival) -> None:
        """Wait for nothing: time stands still."""

    def lateness(self, arrival: Arrival) -> float:
        """Return what was set."""
        return self._lateness

    def applied(self, arrival: Arrival, u: Array) -> Array:
        """Return what the caller says acts."""
        return self._applied_by(arrival, u)

    def state_is_recent(self) -> bool:
        """Return what was set."""
        return self._recent

    def restart(self) -> None:
        """Keep what was set."""
