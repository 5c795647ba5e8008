"""A trajectory that somebody wants to be followed within tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..robots import Robot
from ..types import Array
from .segments import Waypoints


@dataclass(frozen=True, eq=False, slots=True)
class Tolerances:
    """The largest errors of position and velocity (n,) of the joints; infinity where there is no limit."""

    position: Array
    velocity: Array

    @classmethod
    def of(cls, robot: Robot, position: float, velocity: float) -> Tolerances:
        """Return the same tolerances for every joint of `robot`."""
        return cls(np.full(robot.n, position), np.full(robot.n, velocity))

    @property
    def bounded(self) -> bool:
        """Whether there is a limit at all."""
        return bool(np.isfinite(self.position).any() or np.isfinite(self.velocity).any())

    def violation(self, joints: tuple[str, ...], position_error: Array, velocity_error: Array) -> str:
        """Return in words which joint is outside, and by how much; empty if none is. The errors are (n,)."""
        for what, errors, limits in (
            ("the position", position_error, self.position),
            ("the velocity", velocity_error, self.velocity),
        ):
            outside = ~(np.abs(errors) <= limits)  # a NaN is outside
            if (outside & np.isfinite(limits)).any():
                share = np.where(np.isfinite(limits), np.abs(errors) / limits, 0.0)
                j = int(np.argmax(np.where(np.isnan(share), np.inf, share)))
                return f"'{joints[j]}': {what} differs by {abs(errors[j]):.4g}, the tolerance is {limits[j]:g}"
        return ""


@dataclass(frozen=True, eq=False, slots=True)
class TrajectoryGoal:
    """Points to pass from `stamp` [s] on (0: from when it is accepted), and how well.

    path: along the way; goal: at the last point. time [s]: after the end of the trajectory, by its own times, the arm
    must be within `goal`; None: the goal leaves it to the action server. settle [s]: in that case, after the end of the
    motion that is made of it.
    """

    points: Waypoints
    stamp: float
    path: Tolerances
    goal: Tolerances
    time: float | None
    settle: float
