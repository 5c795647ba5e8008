"""Tell in words, in the log and on ~/message, when the arm is slowed down or held before a contact."""

from __future__ import annotations

import math

from ..runtime.interfaces import Tick
from ..safety.collision_rule import CollisionRule
from .reporter import Reporter
from .tick_observer import TickObserver

QUIET = 1.0  # [s] without contact near after which the next one is told


class CollisionReport(TickObserver):
    """Report what `rule` does, once for each approach."""

    def __init__(self, rule: CollisionRule, reporter: Reporter):
        self._rule, self._reporter = rule, reporter
        self._last, self._overlapping = -math.inf, tuple[str, ...]()
        for note in rule.notes:
            reporter.log("warning", f"collision: {note}")

    def after_tick(self, tick: Tick) -> None:
        """Report a new approach, and an obstacle that has appeared on the arm or is gone."""
        rule, stamp = self._rule, tick.observation.stamp
        if rule.overlapping != self._overlapping:
            self._overlapping = rule.overlapping
            gone = "no obstacle overlaps the arm any more"
            self._reporter.report(rule.text if rule.overlapping else gone, not rule.overlapping)
        elif rule.acting and abs(stamp - self._last) > QUIET:
            self._reporter.report(rule.text, False)
        if rule.acting:
            self._last = stamp
