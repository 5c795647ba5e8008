"""Transitions of a live run, kept in blocks of memory: what `data.dataset.Dataset` is made of while a robot moves."""

from __future__ import annotations

import numpy as np

from ..types import Array, Transition
from .dataset import Dataset
from .store import Owner


class TransitionRecorder:
    """Records every transition of a live run, at most `capacity` of them: the oldest are dropped then, and counted.

    `add` costs a microsecond and allocates only when a block of BLOCK ticks is full. `dropped` counts the transitions
    that were dropped.
    """

    BLOCK = 4096

    def __init__(self, owner: Owner, *, capacity: int = 5_000_000):
        self.owner, self.dropped = owner, 0
        self._most = max(1, capacity // self.BLOCK)
        self._blocks: list[Array] = []
        self._filled = self.BLOCK

    def add(self, transition: Transition) -> None:
        """Record one transition: [q; qd] (2n,), u (n,) and the change of qd (n,)."""
        n = len(self.owner.joints)
        if self._filled == self.BLOCK:
            if len(self._blocks) == self._most:
                self._blocks.pop(0)
                self.dropped += self.BLOCK
            self._blocks.append(np.empty((self.BLOCK, 4 * n)))
            self._filled = 0
        row = self._blocks[-1][self._filled]
        row[: 2 * n], row[2 * n : 3 * n] = transition.x[: 2 * n], transition.u
        row[3 * n :] = transition.x_next[n : 2 * n] - transition.x[n : 2 * n]
        self._filled += 1

    def dataset(self, name: str) -> Dataset:
        """Return what was recorded, as one run called `name`."""
        n = len(self.owner.joints)
        rows = np.vstack(
            [np.zeros((0, 4 * n)), *self._blocks[:-1], *(block[: self._filled] for block in self._blocks[-1:])]
        )
        return Dataset(
            self.owner,
            rows[:, : 2 * n],
            rows[:, 2 * n : 3 * n],
            rows[:, 3 * n :],
            np.zeros(len(rows), dtype=np.int64),
            (name,),
        )
