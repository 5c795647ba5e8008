"""When a command acts: constant delay, jitter and lateness of a simulated drive's commands.

With S physics steps per tick, command k, given at the beginning of tick k (step k S), arrives at step

    a_k = k S + D + S (j_k + l_k),    j_k ~ U{0 .. jitter},    l_k ~ U{1 .. late} with probability p, else 0,

D the delay in physics steps. At step s the command in effect is the newest one that has arrived, max {k: a_k <= s}. So
commands never overtake: one that arrives after a newer one is dropped, of several that arrive together the newest acts,
and until anything newer arrives the last one stands.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..config.sections.simulation import PlantSettings
from ..types import Array


class Delivery:
    """Commands under way to the drives, with `substeps` physics steps per tick; `reset` before use.

    acting: number of the command in effect, counted from 0; -1: the one at rest, before any. late: l_k of the command
    given next [ticks]. Draws for jitter and lateness have generators of their own.
    """

    def __init__(self, settings: PlantSettings, substeps: int):
        self._settings, self._substeps = settings, substeps
        self._delay = round(settings.command_delay * substeps)
        self._jitter, self._lateness = np.random.default_rng([0, 1]), np.random.default_rng([0, 2])
        self._under_way: deque[tuple[int, int, Array]] = deque()  # (a_k, k, command)
        self._newest = self._command = np.zeros(0)
        self._given = self.late = 0
        self.acting = -1

    def reset(self, rest: Array, seed: int) -> None:
        """Forget all commands: `rest` (n,) is in effect until the first one arrives."""
        self._jitter, self._lateness = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
        self.set_delay(self._settings.command_delay)
        self._under_way.clear()
        self._newest = self._command = rest
        self.acting, self._given = -1, 0
        self.late = self._draw()

    def set_delay(self, ticks: float) -> None:
        """Let commands that are given from now on arrive `ticks` later than they are given, as by `command_delay`."""
        self._delay = round(ticks * self._substeps)

    @property
    def newest(self) -> Array:
        """The command given last (n,)."""
        return self._newest

    def give(self, command: Array) -> None:
        """Send `command` (n,) at the beginning of this tick."""
        extra = self.late
        if self._settings.command_jitter:
            extra += int(self._jitter.integers(self._settings.command_jitter + 1))
        arrives = (self._given + extra) * self._substeps + self._delay
        self._under_way.append((arrives, self._given, command))
        self._newest = command
        self._given += 1
        self.late = self._draw()

    def at(self, step: int) -> Array:
        """Return the command (n,) in effect at physics step `step`, counted from the reset; call with rising steps."""
        arrived = [(k, command) for arrives, k, command in self._under_way if arrives <= step]
        if arrived:
            self.acting, self._command = arrived[-1]
            while self._under_way and self._under_way[0][1] <= self.acting:  # it came, or has been overtaken
                self._under_way.popleft()
        return self._command

    def _draw(self) -> int:
        if not self._settings.late_share:
            return 0
        is_late = self._lateness.random() < self._settings.late_share
        ticks = 1 + int(self._lateness.integers(self._settings.late_ticks))
        return ticks if is_late else 0
