"""How long things took, without remembering everything: the newest values of a quantity and what they amount to.

Also when a tick is due. States may come faster than the control rate and with jitter, so the due times lie on a grid,
d_{k+1} = d_k + dt + g e_k, and the state nearest to a due time is used: the first one stamped d_k - p/2 or later, p the
time between states. e_k, its distance from d_k, pulls the grid along (g = 0.05), so that it follows a stream whose rate
is almost the control rate. A state more than a period late starts the grid anew: a gap is not followed by a burst.
"""

from __future__ import annotations

import math
from collections import deque

PULL = 0.05  # g
SMOOTHING = 0.1  # of p, per state


class Grid:
    """Which states are due for a tick, by their stamps, for a period dt [s]."""

    def __init__(self, dt: float):
        self.dt = dt
        self.reset()

    def reset(self) -> None:
        self._due, self._last, self._spacing = -math.inf, -math.inf, math.nan

    def take(self, stamp: float) -> bool:
        """Whether the state stamped `stamp` [s] is to be used. Call for every state, with rising stamps."""
        spacing, self._last = min(stamp - self._last, self.dt), stamp
        if math.isnan(self._spacing) and math.isfinite(self._due):
            self._spacing = spacing
        elif math.isfinite(self._due):
            self._spacing += SMOOTHING * (spacing - self._spacing)
        late = stamp - self._due
        if late > self.dt:
            self._due = stamp + self.dt
            return True
        if late < -0.5 * self._spacing:
            return False
        self._due += self.dt + PULL * late
        return True


class Lateness:
    """By how many periods a command came too late for the state it answers.

    The fastest way from a stamp to its arrival counts as no delay at all (it is part of the configured one); whatever a
    command needs beyond it, in transport, in the scheduler or in computing, is late. A drive that takes commands at its
    own period boundaries goes on with the last one meanwhile, and a model that is not told so learns wrong signs.
    """

    DRIFT = 1e-6  # [s] per state: clocks that drift apart must not look late for ever

    def __init__(self, dt: float):
        self._dt = dt
        self.reset()

    def reset(self) -> None:
        self._fastest = float("inf")

    def earliest(self, stamp: float, arrived: float) -> float:
        """When [s] the state stamped `stamp` [s], which arrived at `arrived` [s], would have arrived the fastest way."""
        self._fastest = min(self._fastest + self.DRIFT, arrived - stamp)
        return stamp + self._fastest

    def periods(self, stamp: float, arrived: float, sent: float) -> float:
        """Stamp [s] of the state, when it arrived and when its command was sent [s], both by one clock."""
        return max(0.0, (sent - self.earliest(stamp, arrived)) / self._dt)


class CommandAge:
    """How old the command is that acts, beyond what the delay of a command stands for, and what that allows.

    A command that is l periods late acts from floor(l) periods after its time on. What is left over, r = l - floor(l),
    varies about its own mean, and by as much it is unknown when the command began to act: `std` [s]. At every state the
    command that acted during the last period is the newest one whose time had come by then; the mean of its age [s] beyond
    the delay, over MEMORY seconds, is `mean`; so much later the next one is `expected` to act, too. From `warning` [s] to
    `limit` [s] the `authority` that is left falls from 1 to LEAST; beyond `limit` the arm is to be held (`held`) until the mean has been below `warning` for `release` seconds.
    """

    MEMORY, LEAST = 0.1, 0.3
    FEWEST = 12  # states that the first mean stands for
    TOLERATED = 0.1  # of a period: what varies by less counts as on time

    def __init__(self, dt: float, warning: float, limit: float, release: float):
        self._dt, self._warning, self._limit, self._release = dt, warning, limit, release
        self.reset()

    def reset(self) -> None:
        """Begin anew: no command acts, none was late."""
        self.mean, self.std, self.held = 0.0, 0.0, False
        self._usual, self._waited, self._last, self._count = 0.0, 0.0, math.nan, 0
        self._sent: deque[tuple[float, float]] = deque(
            maxlen=64
        )  # (acts from, stamp of its state) [s], the newest last

    @property
    def authority(self) -> float:
        """What is left, in tenths, in [LEAST, 1]."""
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
        """A state stamped `stamp` [s] has come."""
        last, self._last = self._last, stamp
        if not (math.isfinite(last) and self._sent):
            return
        acting = next(
            (origin for acts, origin in reversed(self._sent) if acts <= last + 0.25 * self._dt), self._sent[0][1]
        )
        self._count += 1
        share = min(1.0, max((stamp - last) / self.MEMORY, 1.0 / max(self._count, self.FEWEST)))
        self.mean += share * (max(0.0, last - acting) - self.mean)
        self._waited = self._waited + stamp - last if self.held and not self.late else 0.0
        self.held = self.mean > self._limit or self.held and self._waited < self._release

    def sent(self, stamp: float, late: float) -> float:
        """The command for the state stamped `stamp` [s] came `late` periods too late; from when on it acts [s]."""
        whole = math.floor(late)
        rest = late - whole
        varied = abs(rest - self._usual)
        self.std = self._dt * varied if varied > self.TOLERATED else 0.0
        self._usual += SMOOTHING * (rest - self._usual)
        acts = stamp + whole * self._dt
        self._sent.append((acts, stamp))
        return acts
