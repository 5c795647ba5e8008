"""What became of targets: told on ~/message every time, named in the log once for each kind, counted in diagnostics."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from ..controllers.base import Controller
from ..exceptions import MbrlError, TargetError
from ..references.jogging import JogCounts
from ..references.targets import Target
from ..runtime.interfaces import Tick
from .reporter import Reporter
from .status import posture_error
from .tick_observer import TickObserver


class TargetOutcomes(TickObserver):
    """Counts of accepted and refused targets, and of trajectories that are not made as asked for.

    refused counts by topic and kind, `details` holds the last explanation of each. last_note: what was last said of
    a trajectory that is not made as asked for.
    """

    def __init__(self, controller: Controller, reporter: Reporter):
        self._controller, self._reporter = controller, reporter
        self._tick: Tick | None = None
        self.accepted = self.adapted = 0
        self.refused: Counter[str] = Counter()
        self.details: dict[str, str] = {}
        self.last_note = ""

    def accept(self, target: Target) -> None:
        """Report that a target was accepted."""
        self.accepted += 1
        since = f"{target.stamp:.3f} s" if target.stamp else "now"
        self._reporter.report(f"target accepted: {target.kind} {np.round(target.value, 4).tolist()} from {since} on")

    @property
    def without_effect(self) -> Counter[str]:
        """Counts of refused targets, and of jogs that came at the wrong time, by topic or kind, and reason."""
        return self.refused + self.jogs.ignored

    @property
    def posture_error(self) -> float:
        """The largest distance [rad or m] of a joint from its reference in the last tick; NaN: it is not known."""
        return math.nan if self._tick is None else posture_error(self._tick, self._controller)

    @property
    def jogs(self) -> JogCounts:
        """What became of the jogs."""
        return self._controller.jog_counts

    def refuse(self, topic: str, error: MbrlError, *, tell: bool = True) -> None:
        """Report that a target of `topic` was refused; the log names each kind once, ~/message too without `tell`."""
        kind = f"{topic}: {error.kind if isinstance(error, TargetError) else 'unsuitable'}"
        self.refused[kind] += 1
        self.details[kind] = str(error)
        first = self.refused[kind] == 1
        if tell or first:
            self._reporter.report(f"target refused: {error}", done=False, log=first)

    def after_tick(self, tick: Tick) -> None:
        """Report which targets that began are not reached as asked for, and in which way."""
        self._tick = tick
        for note in self._controller.take_target_notes():
            self.adapted += 1
            self.last_note = note
            self._reporter.report(note)
