"""Positions that leap: a policy must not act on what no joint can have done."""

from __future__ import annotations

import numpy as np

from ..robots import Robot
from ..types import JointVector

STATE_JUMP = 3.0  # times a joint's velocity limit: a position that moved faster was not moved
SMALLEST_JUMP = 0.05  # [rad or m] that sensor noise and late stamps may amount to


class PositionCheck:
    """Tells positions apart that a joint cannot have reached since the last observation."""

    def __init__(self, robot: Robot):
        self._velocity_limit = robot.velocity_limit
        self._last: tuple[float, JointVector] | None = None

    def reset(self) -> None:
        """Accept the next positions, whatever they are."""
        self._last = None

    def jumped(self, stamp: float, q: JointVector) -> bool:
        """Return whether one of q (n,) at `stamp` [s] is too far from the last."""
        last, self._last = self._last, (stamp, q)
        if last is None:
            return False
        reach = np.maximum(SMALLEST_JUMP, STATE_JUMP * self._velocity_limit * (stamp - last[0]))
        return bool((np.abs(q - last[1]) > reach).any())
