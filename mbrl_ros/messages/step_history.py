"""The usual time between two states: stamps that come unevenly may belong to states that were sampled evenly."""

from __future__ import annotations

import math
from collections import deque

REMEMBERED_STEPS = 9  # whose median is the usual one
LARGEST_STEP = 1.7  # of the usual step: a state is missing in between


class StepHistory:
    """The last times between two accepted states."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=REMEMBERED_STEPS)

    def add(self, step: float) -> None:
        """Take in a time between two states [s]; infinite for the first one."""
        if step < math.inf:
            self._steps.append(step)

    def unevenness(self, step: float) -> float:
        """Return H / h: the usual time between two states over this `step` [s].

        1 as long as no usual one is known, and where states are missing in between.
        """
        if len(self._steps) < REMEMBERED_STEPS:
            return 1.0
        usual = sorted(self._steps)[REMEMBERED_STEPS // 2]
        return usual / step if step < LARGEST_STEP * usual else 1.0
