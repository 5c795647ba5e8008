"""The outputs of a control cycle that runs in a bench's own process: commands are checked and kept."""

from __future__ import annotations

import numpy as np

from ..robots import Robot
from ..runtime.event_log import Event
from ..runtime.interfaces import Tick
from ..types import Array


class CheckedOutputs:
    """The `Outputs` of the cycle for `robot`.

    `u` (nu,) is the last finite command, 0 before the first; `commands` counts all, `outside` those of a wrong length,
    not finite or outside their limits; `events` counts what is recorded, `errors` are kept.
    """

    def __init__(self, robot: Robot):
        self._limits = list(zip(robot.command_lower.tolist(), robot.command_upper.tolist(), strict=True))
        self.u = np.zeros(robot.command_lower.size)
        self.commands = self.outside = self.events = 0
        self.errors: list[str] = []

    def command(self, stamp: float, u: Array) -> None:
        """Check a command, and keep it if the robot can execute it."""
        self.commands += 1
        if u.shape != self.u.shape:
            self.outside += 1
            return
        for value, (lower, upper) in zip(u.tolist(), self._limits, strict=True):
            if not lower <= value <= upper:
                self.outside += 1
                if not np.isfinite(u).all():
                    return
                break
        self.u = u.copy()

    def tick(self, tick: Tick) -> None:
        """Publish nothing else."""

    def event(self, event: Event) -> None:
        """Count what is recorded."""
        self.events += 1

    def log(self, level: str, text: str) -> None:
        """Keep errors."""
        if level == "error":
            self.errors.append(text)
