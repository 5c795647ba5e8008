"""The path that a twist asks of the tool, and how far the tool is from it."""

from __future__ import annotations

import math

import numpy as np

from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import exponential, logarithm
from ..types import Array

MOST_AHEAD, MOST_TURNED = 0.02, 0.1  # [m], [rad]: the path does not go further ahead of the tool
NO_ERROR = np.zeros(3), np.zeros(3)


class ToolPath:
    """A pose that moves with the twists: R (3, 3) and p (3,) [m] in the root link's frame.

    Rotations about the tool's axes that are free in `kinematics` do not count.
    """

    def __init__(self, kinematics: PoseKinematics):
        self._free = np.setdiff1d(np.arange(3), kinematics.rotations)
        self._pose: tuple[Array, Array] | None = None

    def forget(self) -> None:
        """Begin anew where the tool is next."""
        self._pose = None

    def error(self, p: Array, R: Array) -> tuple[Array, Array]:
        """Return how far the path is from the tool at p (3,), R (3, 3): [m], and [rad] in the tool's axes."""
        if self._pose is None:
            self._pose = p, R
            return NO_ERROR
        away, turned = self._pose[0] - p, logarithm(R.T @ self._pose[1])
        turned[self._free] = 0.0
        away, turned = _within(away, MOST_AHEAD), _within(turned, MOST_TURNED)
        self._pose = p + away, R @ exponential(turned)
        return away, turned

    def go_on(self, way: Array, turn: Array) -> None:
        """Move by `way` (3,) [m] and `turn` (3,) [rad] in the tool's axes."""
        if self._pose is not None:
            self._pose = self._pose[0] + way, self._pose[1] @ exponential(turn)


def _within(vector: Array, most: float) -> Array:
    length = math.sqrt(float(vector @ vector))
    return vector if length <= most else vector * (most / length)
