"""What an arm moved by efforts did just before: from it follows what carries the arm."""

from __future__ import annotations

from collections import deque

import numpy as np

from ..types import Array, Observation
from .arrest import Arrest

ACCELERATION_WINDOW = 0.04  # [s] over which the acceleration is measured


class RecentMotion:
    """The velocities and efforts of the last ACCELERATION_WINDOW; `dt` [s]: the control period."""

    def __init__(self, dt: float):
        self._dt = dt
        self._past: deque[tuple[float, Array, Array]] = deque()  # stamp, qd, the command before

    def clear(self) -> None:
        """Forget it."""
        self._past.clear()

    def add(self, observation: Observation, u: Array) -> None:
        """Take note of a state and of the command u (n,) before it."""
        past, stamp = self._past, observation.stamp
        if past and not 0.0 < stamp - past[-1][0] < 2.5 * self._dt:
            past.clear()
        past.append((stamp, observation.qd, u))
        while len(past) > 3 and stamp - past[0][0] > ACCELERATION_WINDOW:
            past.popleft()

    def prepare(self, arrest: Arrest, q: Array) -> None:
        """Tell the safe command what carries the arm at q (n,): the efforts less what accelerated it, u - M qdd."""
        if len(self._past) < 3:
            return
        stamps, speeds, efforts = (np.array(column) for column in zip(*self._past, strict=True))
        since = stamps - stamps.mean()
        acceleration = since @ speeds / (since @ since)
        arrest.brake(efforts[1:].mean(axis=0) - arrest.inertia(q) @ acceleration, q)
