"""The usual time between two states: stamps that come unevenly may belong to states that were sampled evenly."""

from __future__ import annotations

import math
from collections import deque

REMEMBERED_STEPS = 16  # whose mean is the usual one, without those in which states are missing
LARGEST_STEP = 1.7  # of the usual step: a state is missing in between
MISSING = 2.5  # usual steps without an accepted state, after which the clock may have been set
LEAST_PAIR = 1.33  # of the usual step, of two in a row: less is a burst, or a second publisher's state in between


class StepHistory:
    """The last times between two accepted states."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=REMEMBERED_STEPS)
        self.usual = math.inf  # H [s], infinite as long as it is not known

    def add(self, step: float) -> None:
        """Take in a time between two states [s]; infinite for the first one."""
        if step < math.inf:
            self._steps.append(step)
        if len(self._steps) == REMEMBERED_STEPS:
            most = LARGEST_STEP * sorted(self._steps)[REMEMBERED_STEPS // 2]
            whole = [known for known in self._steps if known < most]
            self.usual = sum(whole) / len(whole)

    def lacks(self, step: float) -> bool:
        """Return whether states are missing in this `step` [s], or the clock of their stamps was set."""
        return step > MISSING * self.usual

    def unevenness(self, step: float) -> float:
        """Return H / h: the usual time between two states over this `step` [s].

        1 as long as no usual one is known, where states are missing in between, and where this step and the one before
        are together too short for two states: those of one driver, late by less than 0.65 H, are not.
        """
        usual = self.usual
        likely = step < LARGEST_STEP * usual < math.inf and step + self._steps[-1] > LEAST_PAIR * usual
        return usual / step if likely else 1.0
