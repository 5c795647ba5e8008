"""The last commands on the robot's topic: where a guard that was lost has left the arm. No ROS.

The speed of the last of m commands u_k that came at t_k is their mean change,

    v = (u_m - u_1) / max(t_m - t_1, (m - 1) h),

with the period h: commands that were missed make the time between two longer, and a burst makes it no shorter.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..guard.command_bytes import read_command
from ..types import Array

HEARD_COMMANDS = 5  # commands; the change of one alone may be far from the speed


class HeardCommands:
    """Keeps the newest commands as they came; they are read only when the guard is lost.

    Parameters
    ----------
    period
        of the control loop [s].
    timed
        whether the times of arrival count; otherwise each command stands for a period.
    """

    def __init__(self, period: float, *, timed: bool):
        self._period, self._timed = period, timed
        self._heard: deque[tuple[bytes, float]] = deque(maxlen=HEARD_COMMANDS)

    def put(self, raw: bytes, now: float) -> None:
        """Keep a serialized command that came at `now` [s]; from any thread."""
        self._heard.append((raw, now))

    def clear(self) -> None:
        """Forget what was heard."""
        self._heard.clear()

    def last(self, n: int) -> tuple[Array, Array] | None:
        """Return the last command (n,) and its speed (n,) [1/s], in the order of the commands; None without one."""
        heard = [(read_command(raw), now) for raw, now in self._heard.copy()]
        known = [(np.array(read[1]), now) for read, now in heard if read is not None and len(read[1]) == n]
        known = [(u, now) for u, now in known if np.isfinite(u).all()]
        if not known:
            return None
        (first, began), (last, ended) = known[0], known[-1]
        if len(known) == 1:
            return last, np.zeros(n)
        elapsed = self._period * (len(known) - 1)
        return last, (last - first) / (max(elapsed, ended - began) if self._timed else elapsed)
