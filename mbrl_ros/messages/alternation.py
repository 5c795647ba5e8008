"""Whether refused states that come between accepted ones are those of a second publisher."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..types import Array

ALTERNATIONS = 3  # refused states of one line between accepted ones: a second publisher
SCATTERED = 8  # refused states anywhere between accepted ones: a second publisher


class Alternation:
    """Counts refused states that come between accepted ones.

    Those of a second publisher continue each other and leap furthest in the same joint and direction, or leap anywhere
    in several joints.
    """

    def __init__(self) -> None:
        self._side: int | None = None  # the joint that leapt furthest, -1 - joint where it leapt downward
        self._in_line = self._scattered = 0

    def add(self, distance: Array, leapt: NDArray[np.bool_], continues: bool) -> None:
        """Take in the first state that is refused after an accepted one.

        Parameters
        ----------
        distance
            (n,) from the accepted state [rad or m].
        leapt
            (n,) whose positions leapt.
        continues
            whether it continues the state that was refused before.
        """
        joint = int(np.abs(distance).argmax())
        side = joint if distance[joint] > 0.0 else -1 - joint
        self._in_line = self._in_line + 1 if continues and side == self._side else 0
        self._scattered += int(leapt.sum() > 1)
        self._side = side

    @property
    def found(self) -> bool:
        """Whether they are so many that a second publisher sends them."""
        return self._in_line >= ALTERNATIONS or self._scattered >= SCATTERED
