"""Supervision samples: as they come from teachers, and the bounded, mixed, de-duplicated memory they are learned from.

The memory is a reservoir (Vitter, ACM TOMS 1985, algorithm R): whatever the stream's length N, every distinct sample of
it stands in the memory with the same probability capacity / N. A sample that says nothing new (the same target, hardly
any motion since the last one kept) is left out before that, or rest would crowd out motion.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from ..exceptions import DataError
from ..types import Array


@dataclass(frozen=True, eq=False, slots=True)
class Supervision:
    """What a teacher says at `stamp` [s]: in the state q, qd (n,), after the mean acceleration a (n,) and mean command w
    (n,) of the last window, on the way to `target` (nt,), the mean command of the next window shall be u (n,), which
    matters as much as P (n, n), its Q_uu, says. `epoch` counts targets, `task` names the task's number, `source` the robot.
    """

    stamp: float
    kind: str
    target: Array
    task: int
    epoch: int
    q: Array
    qd: Array
    a: Array
    w: Array
    u: Array
    P: Array
    source: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Samples:
    """N samples as arrays, one row each; dq, da, dw (N, n): changes over the window before the sample."""

    q: Array
    qd: Array
    a: Array
    w: Array
    dq: Array
    da: Array
    dw: Array
    u: Array
    target: Array
    P: Array
    task: Array
    epoch: Array

    def __len__(self) -> int:
        return len(self.q)

    def take(self, index: Array) -> Samples:
        return Samples(*(getattr(self, name)[index] for name in Samples.__slots__))


class Memory:
    """At most `capacity` samples for n joints and targets of one kind, of size nt. Deterministic given seed and stream."""

    def __init__(
        self,
        n: int,
        kind: str,
        nt: int,
        *,
        capacity: int,
        window: float,
        tasks: int = 1,
        seed: int = 0,
        novelty: float = 0.02,
    ):
        self.n, self.kind, self.nt, self.capacity, self.tasks = n, kind, nt, capacity, tasks
        self.window, self.novelty = window, novelty
        self._widths = {
            **dict.fromkeys(("q", "qd", "a", "w", "dq", "da", "dw", "u"), n),
            "target": nt,
            "P": n * n,
            "task": 1,
            "epoch": 1,
        }
        self._rows = np.zeros((capacity, sum(self._widths.values())))
        self._rng = np.random.default_rng(seed)
        self.count = self.offered = 0
        self.stamp = -np.inf
        self.taught = 0.0  # [s] of samples taken in, over all sources
        self.rejected: Counter[str] = Counter()
        self._past: dict[str, deque[Supervision]] = {}
        self._kept: dict[str, Array] = {}
        self._epochs: dict[tuple[str, int], int] = {}

    def add(self, sample: Supervision) -> bool:
        """Whether the sample was taken in; the reason for leaving one out is counted in `rejected`."""
        reason = self._problem(sample)
        if reason:
            self.rejected[reason] += 1
            return False
        past = self._past.setdefault(sample.source, deque())
        if past and not 0.0 < sample.stamp - past[-1].stamp < self.window:
            if past[-1].stamp - self.window < sample.stamp <= past[-1].stamp:
                self.rejected["repeated or out of order"] += 1
                return False
            past.clear()  # another run, or a gap
        if past:
            self.taught += sample.stamp - past[-1].stamp
        past.append(sample)
        while len(past) > 1 and past[1].stamp <= sample.stamp - self.window + 1e-9:
            past.popleft()
        before = past[0] if sample.stamp - past[0].stamp > 0.9 * self.window else sample
        state = np.concatenate([sample.q, 0.3 * sample.qd, 0.03 * sample.a, sample.target, [sample.task]])
        last = self._kept.get(sample.source)
        if last is not None and np.abs(state - last).max() < self.novelty:
            self.rejected["nothing new"] += 1
            return False
        self._kept[sample.source] = state
        epoch = self._epochs.setdefault((sample.source, sample.epoch), len(self._epochs))
        self._store(
            np.concatenate(
                [
                    sample.q,
                    sample.qd,
                    sample.a,
                    sample.w,
                    sample.q - before.q,
                    sample.a - before.a,
                    sample.w - before.w,
                    sample.u,
                    sample.target,
                    sample.P.ravel(),
                    [sample.task, epoch],
                ]
            )
        )
        return True

    def samples(self, most: int | None = None) -> Samples:
        """A copy of the memory, or of `most` samples of it drawn at random."""
        index = np.arange(self.count)
        if most is not None and self.count > most:
            index = np.sort(np.random.default_rng(self.offered).choice(self.count, most, replace=False))
        rows, columns, at = self._rows[index], {}, 0
        for name, width in self._widths.items():
            columns[name] = rows[:, at : at + width]
            at += width
        columns["P"] = columns["P"].reshape(-1, self.n, self.n)
        columns["task"], columns["epoch"] = (columns[name].ravel().astype(int) for name in ("task", "epoch"))
        return Samples(**columns)

    def state(self) -> tuple[dict, dict[str, Array]]:
        """(meta, arrays) from which `restored` makes the same memory."""
        meta = {
            "n": self.n,
            "kind": self.kind,
            "nt": self.nt,
            "capacity": self.capacity,
            "tasks": self.tasks,
            "window": self.window,
            "novelty": self.novelty,
            "offered": self.offered,
            "taught": self.taught,
            "epochs": len(self._epochs),
            "random": self._rng.bit_generator.state,
        }
        return meta, {"rows": self._rows[: self.count]}

    @classmethod
    def restored(cls, meta: dict, arrays: dict[str, Array]) -> Memory:
        """The memory of `state`; DataError if it does not hold together. Epochs go on being counted."""
        try:
            memory = cls(
                meta["n"],
                meta["kind"],
                meta["nt"],
                capacity=meta["capacity"],
                window=meta["window"],
                tasks=meta["tasks"],
                novelty=meta["novelty"],
            )
            rows = arrays["rows"]
            if rows.ndim != 2 or rows.shape[1] != memory._rows.shape[1] or len(rows) > memory.capacity:
                raise ValueError(f"rows have shape {rows.shape}")
            memory._rows[: len(rows)] = rows
            memory.count, memory.offered, memory.taught = len(rows), int(meta["offered"]), float(meta["taught"])
            memory._epochs = {("before", i): i for i in range(int(meta["epochs"]))}
            memory._rng.bit_generator.state = meta["random"]
        except (KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
            raise DataError(f"not a memory of samples: {type(error).__name__}: {error}") from None
        return memory

    def _problem(self, sample: Supervision) -> str:
        n, shapes = self.n, (sample.q, sample.qd, sample.a, sample.w, sample.u)
        if sample.kind != self.kind or sample.target.shape != (self.nt,):
            return "another kind of target"
        if any(array.shape != (n,) for array in shapes) or sample.P.shape != (n, n):
            return "wrong size"
        if not 0 <= sample.task < self.tasks:
            return "unknown task"
        if not all(np.isfinite(array).all() for array in (*shapes, sample.target, sample.P)):
            return "not finite"
        if np.trace(sample.P) <= 0.0:
            return "no precision"
        return ""

    def _store(self, row: Array) -> None:
        self.offered += 1
        if self.count < self.capacity:
            self._rows[self.count] = row
            self.count += 1
        elif (at := int(self._rng.integers(self.offered))) < self.capacity:
            self._rows[at] = row
