"""The commands that have left: their number, the newest one with the state that it answers, and what is in effect."""

from __future__ import annotations

import numpy as np

from ..types import Array
from .interfaces import Outputs, TickConditions


class SentCommands:
    """Sends the commands of one controller of n joints and remembers what was sent.

    `number` is that of the last command, counted from 1; `in_effect` (n,) what the robot does until the next one;
    `newest` the stamp [s] of the state that the command in effect answered first, and that command; None: none yet.
    """

    def __init__(self, outputs: Outputs, conditions: TickConditions, n: int):
        self._outputs, self._conditions = outputs, conditions
        self.number, self.in_effect = 0, np.zeros(n)
        self.newest: tuple[float, Array] | None = None

    def publish(self, stamp: float, u: Array) -> None:
        """Send u (n,) for the state stamped `stamp` [s]; it is in effect from now on."""
        self.send(stamp, u)
        self.newest, self.in_effect = (stamp, u), u

    def send(self, stamp: float, u: Array) -> None:
        """Send u (n,) for the state stamped `stamp` [s], which changes nothing of what is in effect."""
        self.number += 1
        self._outputs.command(stamp, u)
        self._conditions.published()

    def repeat(self, stamp: float | None = None) -> None:
        """Send the newest command again, under its number; with `stamp` [s] only if it answers that state."""
        if self.newest is not None and stamp in (None, self.newest[0]):
            self._outputs.command(*self.newest)
