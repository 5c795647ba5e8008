r"""The time at which references are taken, for a robot that obeys position commands at once.

A tick wants the references from t + d on, with d the time until its command acts. Where states were lost, or commands
begin to act a period later than before, t + d is two or more periods after that of the last tick, and a position
command that made up for it would move the arm so many times as fast as planned. The time r of the references goes on by

    r' = r + dt + clip(t + d - r - dt, -STRETCH dt, STRETCH dt)

instead: what was lost is made up for at 1 + STRETCH times the planned speed.
"""

from __future__ import annotations

STRETCH = 0.1
FARTHEST_BEHIND = 0.5  # [s] behind the wanted time after which it is taken as it is


class ReferenceTime:
    """The time of the references of one controller with the period `dt` [s]."""

    def __init__(self, dt: float):
        self._dt, self._most = dt, STRETCH * dt
        self._time: float | None = None

    def reset(self) -> None:
        """Take the next time as it is wanted."""
        self._time = None

    def advance(self, wanted: float) -> float:
        """Return the time [s] of this tick's references where `wanted` [s] is the one at which its command acts."""
        if self._time is None or not abs(wanted - self._time) <= FARTHEST_BEHIND:
            self._time = wanted
        else:
            following = self._time + self._dt
            self._time = following + min(max(wanted - following, -self._most), self._most)
        return self._time
