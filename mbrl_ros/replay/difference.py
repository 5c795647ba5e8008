"""How far computed commands are from recorded ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..types import Array


class Difference:
    """Between computed and recorded commands, as a fraction of each joint's command range."""

    def __init__(self) -> None:
        self.count = self._same = 0
        self._sum = self._largest = 0.0

    def add(self, fractions: Array) -> float:
        """The largest (of the joints) of one tick."""
        largest = float(fractions.max())
        self.count += 1
        self._same += largest == 0.0
        self._sum += float(np.mean(fractions**2))
        self._largest = max(self._largest, largest)
        return largest

    def summary(self) -> dict[str, Any] | None:
        if not self.count:
            return None
        return {
            "compared": self.count,
            "identical": self._same,
            "rms": float(np.sqrt(self._sum / self.count)),
            "max": self._largest,
        }
