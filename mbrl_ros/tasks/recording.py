r"""The task `recording:FILE`: what a recording of a real robot lets a model predict. Nothing acts; it is offline.

The first half of the recording's transitions is there to be learned from, a share of them for every episode, in the
order they were recorded; the second half is held out. A model is judged by windows of WINDOW_STEPS transitions of it,
from whose first state it predicts with the recorded commands,

    score = 1 - mean_j  sum (qd_j - predicted qd_j)^2 / sum (qd_j - first qd_j)^2,    qd at the end of the window,

over the joints j that move: 1 is without error, 0 that of a velocity that stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..codegen.symbolic import casadi
from ..costs import CostModel, CostSettings, Term
from ..data import load
from ..exceptions import DataError
from ..types import Array, Transition
from .base import TaskInfo

RECORDING_TASK, WINDOW_STEPS, MOST_WINDOWS = "recording:", 10, 300  # transitions of a window; windows that are judged
RECORDING_SOLVED = 0.5  # a model that takes away half of the error of a velocity that stays


class Recorded:
    """A recording, halved.

    info: names, period, and as limits the least and greatest commands of the first half; learned: its transitions;
    held_out: those of the second half, in their order; windows (K, WINDOW_STEPS): the indices of windows of `held_out`.
    """

    def __init__(self, path: Path):
        recording = load(path).resampled()
        if recording.u is None:
            raise DataError(f"{path} has no commands: there is nothing to predict by")
        every = list(recording.transitions())
        self.learned, self.held_out = every[: len(every) // 2], every[len(every) // 2 :]
        self.windows = windows(self.held_out)
        if not len(self.windows):
            raise DataError(f"{path} has no {WINDOW_STEPS} transitions in a row in its second half")
        U = np.array([transition.u for transition in self.learned])
        n = len(recording.joints)
        self.info = TaskInfo(
            recording.joints,
            U.min(axis=0),
            U.max(axis=0),
            recording.period,
            len(every),
            RECORDING_SOLVED,
            WINDOW_STEPS,
            effort_cost(n),
        )

    def share(self, number: int, count: int) -> Sequence[Transition]:
        """Return share `number` (from 0) of `count` of what is there to be learned from."""
        bounds = np.linspace(0, len(self.learned), count + 1).astype(int)
        return self.learned[bounds[number] : bounds[number + 1]]

    def score(self, predicted: Array) -> float:
        """Return the score of the velocities (K, n) predicted for the ends of the windows."""
        n = self.info.n
        first = np.array([self.held_out[k].x[n:] for k in self.windows[:, 0]])
        last = np.array([self.held_out[k].x_next[n:] for k in self.windows[:, -1]])
        moved = ((last - first) ** 2).sum(axis=0)
        moving = moved > 1e-6 * moved.max()
        return float(1.0 - (((last - predicted) ** 2).sum(axis=0)[moving] / moved[moving]).mean())


def windows(transitions: Sequence[Transition]) -> Array:
    """Return indices (K, WINDOW_STEPS) of transitions that follow each other, at most MOST_WINDOWS, spread evenly."""
    follows = [np.array_equal(a.x_next, b.x) for a, b in zip(transitions, transitions[1:], strict=False)]
    starts = [k for k in range(len(transitions) - WINDOW_STEPS + 1) if all(follows[k : k + WINDOW_STEPS - 1])]
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(len(starts), MOST_WINDOWS)).astype(int))
    found: Array = np.array([np.arange(starts[i], starts[i] + WINDOW_STEPS) for i in chosen])
    return found


def effort_cost(n: int) -> CostModel:
    """Return the cost of commands alone: nothing is planned."""
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    return CostModel(x, u, v, [("effort", Term(u, CostSettings()))])
