"""Supervision samples: as they come from teachers, and the bounded memory of distinct samples that is learned from.

The memory is a reservoir (Vitter, ACM TOMS 1985, algorithm R): whatever the stream's length N, every distinct sample of
it is in the memory with the same probability capacity / N. A sample that holds nothing new (the same target, hardly any
motion since the last one kept) is left out before that, or samples at rest would displace those in motion.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array

MOST_SOURCES = 100  # robots that teach one student
ALMOST_NEGATIVE = 1e-6  # eigenvalue of a precision, over its trace, that rounding may leave
MOST_EPOCHS = 1_000_000  # targets of which samples are told apart
LARGEST_MEMORY = 2 << 30  # of the memory


@dataclass(frozen=True, eq=False, slots=True)
class Supervision:
    """A teacher's label of one state.

    Attributes
    ----------
    stamp : [s]
    kind : what the target is: "joints", "point" or "features"
    target : (nt,)
    task : number of the task
    epoch : counts targets
    q, qd : (n,) the state
    a, w : (n,) mean acceleration and mean command of the last window
    u : (n,) the label: the mean command of the next window
    P : (n, n) its weight, the teacher's Q_uu
    source : names the robot
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
    task: NDArray[np.int64]
    epoch: NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return len(self.q)

    def take(self, index: NDArray[Any]) -> Samples:
        """Return the samples `index` (a mask or indices)."""
        return Samples(
            q=self.q[index],
            qd=self.qd[index],
            a=self.a[index],
            w=self.w[index],
            dq=self.dq[index],
            da=self.da[index],
            dw=self.dw[index],
            u=self.u[index],
            target=self.target[index],
            P=self.P[index],
            task=self.task[index],
            epoch=self.epoch[index],
        )


class Memory:
    """At most `capacity` samples for n joints and targets of one kind; deterministic given seed and stream.

    Parameters
    ----------
    n, kind, nt : joints, kind and size of a target
    window : [s] between which changes are taken
    tasks : samples of task 0 to tasks - 1 are taken in
    novelty : smallest change of the state that counts as new
    largest : (3n,) of |q|, |qd|, and |u| and |w|: a sample beyond would spoil every fit; None: not known

    Attributes
    ----------
    count, offered : samples held, and taken in so far
    taught : [s] of samples taken in, over all sources
    rejected : how many samples were left out, by reason
    """

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
        largest: Array | None = None,
    ):
        self.n, self.kind, self.nt, self.capacity, self.tasks = n, kind, nt, capacity, tasks
        self.window, self.novelty, self.largest = window, novelty, largest
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
        self.taught = 0.0
        self.rejected: Counter[str] = Counter()
        self._past: dict[str, deque[Supervision]] = {}
        self._kept: dict[str, Array] = {}
        self._epochs: dict[tuple[str, int], int] = {}
        self._epoch_count = 0

    def add(self, sample: Supervision) -> bool:
        """Take in a sample; return whether it was, or count the reason in `rejected`."""
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
        epoch = self._epoch(sample.source, sample.epoch)
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
        """Return a copy of the memory, or of `most` samples of it drawn at random."""
        index = np.arange(self.count)
        if most is not None and self.count > most:
            index = np.sort(np.random.default_rng(self.offered).choice(self.count, most, replace=False))
        rows, at = self._rows[index], 0
        columns: dict[str, Array] = {}
        for name, width in self._widths.items():
            columns[name] = rows[:, at : at + width]
            at += width
        P = columns.pop("P").reshape(-1, self.n, self.n)
        task, epoch = (columns.pop(name).ravel().astype(np.int64) for name in ("task", "epoch"))
        return Samples(**columns, P=P, task=task, epoch=epoch)

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return (meta, arrays) from which `restored` makes the same memory."""
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
            "epochs": self._epoch_count,
            "random": self._rng.bit_generator.state,
        }
        return meta, {"rows": self._rows[: self.count]}

    @classmethod
    def restored(cls, meta: dict[str, Any], arrays: dict[str, Array]) -> Memory:
        """Return the memory of `state`; DataError if it is inconsistent. Epochs go on being counted."""
        try:
            sizes = {key: meta[key] for key in ("n", "nt", "capacity", "tasks", "offered", "epochs")}
            if not all(type(value) is int and 0 <= value <= 2**53 for value in sizes.values()):
                raise ValueError(f"sizes must be whole numbers, got {str(sizes)[:200]}")
            if not (
                1 <= meta["n"] <= 1000 and 8 * meta["capacity"] * (8 * meta["n"] + meta["n"] ** 2) <= LARGEST_MEMORY
            ):
                raise ValueError(f"{meta['capacity']} samples of {meta['n']} joints are more than can be held")
            window, novelty, taught = (float(meta[key]) for key in ("window", "novelty", "taught"))
            if not (0.0 < window < 1e6 and 0.0 <= novelty < 1e6 and 0.0 <= taught < 1e12):
                raise ValueError("'window', 'novelty' or 'taught' is no time")
            memory = cls(
                meta["n"],
                str(meta["kind"]),
                meta["nt"],
                capacity=meta["capacity"],
                window=window,
                tasks=meta["tasks"],
                novelty=novelty,
            )
            rows = arrays["rows"]
            if rows.ndim != 2 or rows.shape[1] != memory._rows.shape[1] or len(rows) > memory.capacity:
                raise ValueError(f"rows have shape {rows.shape}")
            memory._rows[: len(rows)] = rows
            memory.count, memory.offered, memory.taught = len(rows), meta["offered"], taught
            memory._epoch_count = meta["epochs"]
            memory._rng.bit_generator.state = meta["random"]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
            raise DataError(f"not a memory of samples: {type(error).__name__}: {error}") from None
        return memory

    def _problem(self, sample: Supervision) -> str:
        """Return why a sample cannot be taken in, '' if it can."""
        n, shapes = self.n, (sample.q, sample.qd, sample.a, sample.w, sample.u)
        if sample.kind != self.kind or sample.target.shape != (self.nt,):
            return "another kind of target"
        if any(array.shape != (n,) for array in shapes) or sample.P.shape != (n, n):
            return "wrong size"
        if not 0 <= sample.task < self.tasks:
            return "unknown task"
        if not all(np.isfinite(array).all() for array in (*shapes, sample.target, sample.P)):
            return "not finite"
        if np.trace(sample.P) <= 0.0 or np.linalg.eigvalsh(sample.P)[0] < -ALMOST_NEGATIVE * np.trace(sample.P):
            return "no precision"
        if self.largest is not None:
            size = np.abs(np.concatenate([sample.q, sample.qd, sample.u, sample.w]))
            if (size > np.append(self.largest, self.largest[2 * n :])).any():
                return "not plausible"
        if sample.source not in self._past and len(self._past) >= MOST_SOURCES:
            return "too many sources"
        return ""

    def _epoch(self, source: str, number: int) -> int:
        """Return the number of a source's target in this memory."""
        key = (source, number)
        if key not in self._epochs:
            if len(self._epochs) >= MOST_EPOCHS:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[key] = self._epoch_count
            self._epoch_count += 1
        return self._epochs[key]

    def _store(self, row: Array) -> None:
        """Algorithm R."""
        self.offered += 1
        if self.count < self.capacity:
            self._rows[self.count] = row
            self.count += 1
        elif (at := int(self._rng.integers(self.offered))) < self.capacity:
            self._rows[at] = row
