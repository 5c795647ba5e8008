"""When a tick is due, how late a command came, and how old the command is that acts.

States may come faster than the control rate and with jitter. The due times therefore lie on a grid,

    d_{k+1} = d_k + dt + g e_k,

and the state nearest to a due time is used: the first one stamped d_k - p/2 or later, with p the time between states.
e_k, its distance from d_k, pulls the grid along (g = 0.05), so that it follows a stream whose rate is almost the
control rate. A state more than a period late starts the grid anew: a gap is not followed by a burst of ticks.
"""

from __future__ import annotations

import math
from collections import deque

PULL = 0.05  # g
SMOOTHING = 0.1  # of p, per state
OVERDUE = 1.5  # periods without a state after which a tick counts as missed


class Grid:
    """Decides by their stamps which states are due for a tick, for the period `dt` [s]."""

    def __init__(self, dt: float):
        self._dt = dt
        self._due, self._last, self._spacing = -math.inf, -math.inf, math.nan

    def reset(self) -> None:
        """Take the next state, whatever its stamp."""
        self._due, self._last, self._spacing = -math.inf, -math.inf, math.nan

    def take(self, stamp: float) -> bool:
        """Return whether the state stamped `stamp` [s] is due. Call it for every state, with rising stamps."""
        spacing, self._last = min(stamp - self._last, self._dt), stamp
        if math.isnan(self._spacing) and math.isfinite(self._due):
            self._spacing = spacing
        elif math.isfinite(self._due):
            self._spacing += SMOOTHING * (spacing - self._spacing)
        late = stamp - self._due
        if late > self._dt:
            self._due = stamp + self._dt
            return True
        if late < -0.5 * self._spacing:
            return False
        self._due += self._dt + PULL * late
        return True


class Deadline:
    """Until when the next state may come before a tick counts as missed: `time` [s], for the period `dt` [s].

    Missed ticks are skipped and counted; they are never made up for.
    """

    def __init__(self, dt: float):
        self._dt, self.time = dt, 0.0

    def after_tick(self, now: float) -> None:
        """Set it OVERDUE periods after a tick that ended at `now` [s]."""
        self.time = now + OVERDUE * self._dt

    def after_miss(self, now: float) -> None:
        """Set it a period later; a period after `now` [s] where that is over, so that no two commands leave at once."""
        self.time += self._dt
        if self.time <= now:
            self.time = now + self._dt


class Lateness:
    """By how many periods of `dt` [s] a command came too late for the state it answers.

    The fastest way from a stamp to its arrival counts as no delay at all, since it is part of the configured one.
    Whatever a command needs beyond it, in transport, in the scheduler or in computing, is late. A drive that takes
    commands at its own period boundaries continues with the last one meanwhile, and a model that ignores this learns
    input gains of the wrong sign.
    """

    DRIFT = 1e-6  # [s] per state: clocks that drift apart must not look late for ever

    def __init__(self, dt: float):
        self._dt = dt
        self._fastest = math.inf

    def reset(self) -> None:
        """Forget the fastest way."""
        self._fastest = math.inf

    def earliest(self, stamp: float, arrived: float) -> float:
        """Return when [s] the state would have arrived the fastest way.

        Parameters
        ----------
        stamp
            of the state [s].
        arrived
            when it arrived [s].
        """
        self._fastest = min(self._fastest + self.DRIFT, arrived - stamp)
        return stamp + self._fastest

    def periods(self, stamp: float, arrived: float, sent: float) -> float:
        """Return the lateness of the command sent at `sent` [s], by the clock of `arrived`; see `earliest`."""
        return max(0.0, (sent - self.earliest(stamp, arrived)) / self._dt)


class CommandAge:
    """How old the command that acts is, beyond the delay that is compensated, and what that allows.

    A command that is l periods late acts from floor(l) periods after its time on. The rest, r = l - floor(l), varies
    about its own mean, and by as much the time at which the command began to act is unknown: `std` [s]. At every
    state, the command that acted during the last period is the newest one whose time had come by then. The mean of
    its age [s] beyond the delay, over MEMORY seconds, is `mean`; the next one is `expected` to act so much later,
    too. From `warning` [s] to `limit` [s] of mean age the `authority` falls from 1 to LEAST. Beyond `limit` the arm
    is to be held (`held`) until the mean has been below `warning` for `release` seconds.
    """

    MEMORY, LEAST = 0.1, 0.3
    FEWEST = 12  # states that the first mean is taken over
    TOLERATED = 0.1  # of a period: what varies by less counts as on time

    def __init__(self, dt: float, warning: float, limit: float, release: float):
        self._dt, self._warning, self._limit, self._release = dt, warning, limit, release
        self.mean, self.std, self.held = 0.0, 0.0, False
        self._usual, self._below, self._last, self._count = 0.0, 0.0, math.nan, 0
        # (acts from, stamp of its state) [s], the newest last
        self._sent: deque[tuple[float, float]] = deque(maxlen=64)

    def reset(self) -> None:
        """Start anew: no command acts, none was late."""
        self.mean, self.std, self.held = 0.0, 0.0, False
        self._usual, self._below, self._last, self._count = 0.0, 0.0, math.nan, 0
        self._sent.clear()

    @property
    def authority(self) -> float:
        """The share of the usual speed that is left, in tenths, in [LEAST, 1]."""
        over = (self.mean - self._warning) / max(self._limit - self._warning, 1e-9)
        return 1.0 if over <= 0.0 else round(max(self.LEAST, 1.0 - (1.0 - self.LEAST) * min(over, 1.0)), 1)

    @property
    def expected(self) -> int:
        """By how many whole periods the next command will be late, as the last ones were."""
        return int(self.mean / self._dt)

    @property
    def late(self) -> bool:
        """Whether the mean is above the warning."""
        return self.mean > self._warning

    def state(self, stamp: float) -> None:
        """Take note of a state stamped `stamp` [s]."""
        last, self._last = self._last, stamp
        if not (math.isfinite(last) and self._sent):
            return
        latest, acting = last + 0.25 * self._dt, self._sent[0][1]
        for acts, origin in reversed(self._sent):
            if acts <= latest:
                acting = origin
                break
        self._count += 1
        share = min(1.0, max((stamp - last) / self.MEMORY, 1.0 / max(self._count, self.FEWEST)))
        self.mean += share * (max(0.0, last - acting) - self.mean)
        self._below = self._below + stamp - last if self.held and not self.late else 0.0
        self.held = self.mean > self._limit or self.held and self._below < self._release

    def sent(self, stamp: float, late: float) -> float:
        """Take note of the command for the state stamped `stamp` [s], `late` periods too late.

        Returns
        -------
        float
            from when on it acts [s], in the time of the stamps.
        """
        whole = math.floor(late)
        rest = late - whole
        varied = abs(rest - self._usual)
        self.std = self._dt * varied if varied > self.TOLERATED else 0.0
        self._usual += SMOOTHING * (rest - self._usual)
        acts = stamp + whole * self._dt
        self._sent.append((acts, stamp))
        return acts
