"""How far computed commands are from recorded ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..types import Array


class Difference:
    """The difference between computed and recorded commands, as a fraction of each joint's command range.

    `count`: how many ticks were compared.
    """

    def __init__(self) -> None:
        self.count = self._same = 0
        self._sum = self._largest = 0.0

    def add(self, fractions: Array) -> float:
        """Add the fractions (n,) of one tick; return the largest."""
        largest = float(fractions.max())
        self.count += 1
        self._same += largest == 0.0
        self._sum += float(np.mean(fractions**2))
        self._largest = max(self._largest, largest)
        return largest

    def summary(self) -> dict[str, Any] | None:
        """Return counts, rms and largest; None where nothing was compared."""
        if not self.count:
            return None
        return {
            "compared": self.count,
            "identical": self._same,
            "rms": float(np.sqrt(self._sum / self.count)),
            "max": self._largest,
        }
