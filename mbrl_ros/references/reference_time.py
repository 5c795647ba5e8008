r"""The time at which references are taken, for a robot that obeys position commands at once.

A tick wants the references from t + d on, with d the time until its command acts. Where states were lost, commands
begin to act a period later than before, or two act in one period because the first was late, t + d is not one period
after that of the command before, and a position command that made up for it would move the arm many times as fast as
planned. With r_0 that of the command in effect until then the time r of the references is

    r = r_0 + dt + clip(t + d - r_0 - dt, -STRETCH dt, STRETCH dt)

instead: what was lost is made up for at 1 + STRETCH times the planned speed.
"""

from __future__ import annotations

import math
from collections import deque

STRETCH = 0.1
FARTHEST_BEHIND = 0.5  # [s] behind the wanted time after which it is taken as it is
MOST_COMMANDS = 16  # commands; none acts later after its state


class ReferenceTime:
    """The time of the references of one controller with the period `dt` [s]."""

    def __init__(self, dt: float):
        self._dt, self._most = dt, STRETCH * dt
        self._time = math.nan
        # (from when on a command acts, time of its references) [s], the newest last
        self._commands: deque[tuple[float, float]] = deque(maxlen=MOST_COMMANDS)

    def reset(self) -> None:
        """Take the next time as it is wanted."""
        self._time = math.nan
        self._commands.clear()

    def record(self, stamp: float) -> None:
        """Take note that the command with the newest time acts in answer to a state stamped `stamp` [s]."""
        self._commands.append((stamp, self._time))

    def advance(self, wanted: float, stamp: float) -> float:
        """Return the time [s] of this tick's references.

        Parameters
        ----------
        wanted
            When its command acts [s].
        stamp
            Of the state that the command in effect until then answered, or was in time for, at the latest [s].
        """
        latest = stamp + 0.25 * self._dt
        before = next((time for acts, time in reversed(self._commands) if acts <= latest), self._time)
        self._time = wanted
        if abs(wanted - before) <= FARTHEST_BEHIND:
            following = before + self._dt
            self._time = following + min(max(wanted - following, -self._most), self._most)
        return self._time
