"""Whether a command of mpc_node is good, and whether it may follow the guard's own one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .messages import Array, GuardParameters

BOUND_ROUNDING = 1e-6  # of a command's range by which it may be outside
NEAR = 0.1  # of the effort range between the commands of guard and mpc_node at a handover
NEAR_PERIODS = 2.0  # ... or what the acceleration limit allows in so many periods


class CommandCheck:
    """The bounds of a command that `parameters` give."""

    def __init__(self, parameters: GuardParameters):
        self._slack = BOUND_ROUNDING * (parameters.upper - parameters.lower)
        sides = parameters.lower - self._slack, parameters.upper + self._slack, parameters.largest_step + self._slack
        # smallest and largest value, largest step of each joint
        self._bounds: list[tuple[float, float, float]] = list(zip(*(side.tolist() for side in sides), strict=True))
        if parameters.interface == "effort":
            self._near = NEAR * (parameters.upper - parameters.lower)
        else:
            self._near = parameters.acceleration * (NEAR_PERIODS * parameters.period)
            if parameters.interface == "position":
                self._near = self._near * parameters.period

    def problem(self, u: Sequence[float]) -> str:
        """Return why a command is not good, '' if it is; without numpy, which is slower for a few joints."""
        if len(u) != len(self._bounds):
            return "wrong length"
        if not all(low <= value <= high for value, (low, high, _) in zip(u, self._bounds, strict=True)):
            return "outside the limits" if all(map(math.isfinite, u)) else "not finite"
        return ""

    def reaches(self, u: Sequence[float], last: Sequence[float] | Array, periods: float) -> bool:
        """Return whether a command u (n,) is within reach of the one sent `periods` ago."""
        return all(
            abs(value - before) <= periods * step
            for value, before, (_, _, step) in zip(u, last, self._bounds, strict=True)
        )

    def near(self, u: Array, held: Array) -> bool:
        """Return whether u (n,) may follow the guard's command `held` (n,) without a step."""
        return bool((np.abs(u - held) <= self._near + self._slack).all())
