"""The conditions of a tick: live ones, by a clock, and stepped ones, which a replay, benchmark or test sets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ..safety.state_machine import NO_REASON, Reason
from ..types import Array
from .interfaces import Clock
from .interruptions import longest_gap
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
    stands
        returns whether that time stands still.
    """

    def __init__(
        self,
        age: Callable[[], float],
        now: Callable[[], float] = time.perf_counter,
        stands: Callable[[], bool] = lambda: False,
    ):
        self._age, self._now, self._stands = age, now, stands

    def now(self) -> float:
        """Return the time of deadlines [s]."""
        return self._now()

    def elapsed(self) -> float:
        """Return the processor's monotonic time [s]."""
        return time.perf_counter()

    def age(self) -> float:
        """Return the age of the newest state by its stamp [s]."""
        return self._age()

    def stands(self) -> bool:
        """Return whether the time of deadlines stands still."""
        return self._stands()

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
        self._gap, self._sent = longest_gap(dt, timeout), math.nan  # when the last command was sent [s]
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

    def published(self) -> None:
        """Take note of the time."""
        self._sent = self._clock.now()

    def without_command(self) -> float:
        """Return for how long no command was sent [s], where that is more than the longest gap; 0 in lockstep."""
        silent = self._clock.now() - self._sent
        return silent if silent > self._gap and not self._lockstep else 0.0

    def paused(self, deadline: float) -> float:
        """Return how late the deadline at `deadline` [s] is noticed [s], where that is more than the longest gap.

        So long this thread was not run. A command is no sign of it: none leaves while a state is late.
        """
        late = self._clock.now() - deadline
        return late if late > self._gap else 0.0

    def interruption(self, arrival: Arrival) -> Reason:
        """Return CLOCK_JUMP for a state on a new time line, NO_COMMAND after a gap in this process's own commands."""
        if arrival.restarted:
            return Reason.CLOCK_JUMP
        return Reason.NO_COMMAND if self.without_command() else NO_REASON

    def restart(self) -> None:
        """Forget how fast messages came."""
        self._lateness.reset()
        self._transport.reset()


class SteppedConditions:
    """Conditions that the caller sets before a tick; `applied_by(arrival, u)` returns the command (nu,) that acts."""

    def __init__(self, applied_by: Callable[[Arrival, Array], Array] = lambda arrival, u: u):
        self._applied_by = applied_by
        self._lateness, self._recent, self._interruption = 0.0, True, Reason.NONE

    def set_lateness(self, periods: float) -> None:
        """Let the commands from now on come `periods` too late."""
        self._lateness = periods

    def set_recent(self, recent: bool) -> None:
        """Say whether the newest state is recent enough to act on."""
        self._recent = recent

    def interrupt(self, cause: Reason) -> None:
        """Let the next tick begin anew because of `cause`."""
        self._interruption = cause

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

    def published(self) -> None:
        """Take no note: time is set."""

    def interruption(self, arrival: Arrival) -> Reason:
        """Return what was set, once; CLOCK_JUMP for a state on a new time line."""
        cause, self._interruption = self._interruption, NO_REASON
        return Reason.CLOCK_JUMP if arrival.restarted else cause

    def restart(self) -> None:
        """Keep what was set."""
