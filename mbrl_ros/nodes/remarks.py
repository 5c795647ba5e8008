"""What a controller remarks of a tick, in the log and on ~/message: when it moves the arm on purpose to learn."""

from __future__ import annotations

from ..runtime.interfaces import Tick
from .reporter import Reporter
from .tick_observer import TickObserver


class Remarks(TickObserver):
    """Report every remark of a decision."""

    def __init__(self, reporter: Reporter):
        self._reporter = reporter

    def after_tick(self, tick: Tick) -> None:
        """Report what there is to tell of one tick."""
        if tick.decision is not None:
            for remark in tick.decision.remarks:
                self._reporter.report(remark)
