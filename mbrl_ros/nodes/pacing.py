"""Absolute deadlines, one per period, for a loop that simulates in real time."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pacer:
    """Deadlines that lie one period apart; time that is lost is not made up for.

    `report(seconds)` is called when the loop is more than `behind` [s] late; the next deadline then counts from now.
    """

    def __init__(self, period: float, behind: float, report: Callable[[float], None]):
        self._period, self._behind, self._report = period, behind, report
        self._deadline = time.perf_counter()

    def restart(self) -> None:
        """Let the first period begin now."""
        self._deadline = time.perf_counter()

    def wait(self) -> None:
        """Sleep until the end of the present period."""
        self._deadline += self._period
        left = self._deadline - time.perf_counter()
        if left > 0.0:
            time.sleep(left)
        elif left < -self._behind:
            self._report(-left)
            self.restart()
