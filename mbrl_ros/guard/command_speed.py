"""How fast the commands of mpc_node were changing before the last one: the speed from which the safe command brakes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from .messages import Array

SPEED_COMMANDS = 4  # whose changes tell a speed: one alone may be far from it


class CommandSpeed:
    """The commands before the last one, each with the periods until the next."""

    def __init__(self) -> None:
        self._before: deque[tuple[Sequence[float] | Array, float]] = deque(maxlen=SPEED_COMMANDS)

    def clear(self) -> None:
        """Forget them."""
        self._before.clear()

    def add(self, u: Sequence[float] | Array, periods: float) -> None:
        """Take note of a command u (n,) that another one followed after `periods`."""
        self._before.append((u, max(0.05, periods) if periods < 0.75 else float(round(periods))))

    def before(self, last: Array, period: float) -> Array:
        """Return the mean speed (n,) [1/s] of the commands up to the `last` one (n,)."""
        if not self._before:
            return np.zeros(last.size)
        change: Array = last - np.array(self._before[0][0])
        return change / (sum(periods for _, periods in self._before) * period)
