"""Transitions of many runs, aggregated: collect, fit, act, add (Ross and Bagnell, ICML 2012, DAgger for models).

A model fitted to the states of one controller is wrong where a better controller goes; adding each run's transitions to
those before and fitting to all of them is the cure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array, Transition
from . import store
from .cleaning import FEWEST_ROWS
from .recording import Recording
from .store import Owner

KIND = "dataset"


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """N transitions of one robot.

    Attributes
    ----------
    owner : the robot's joints, interface and period
    X : (N, 2n) = [q; qd]
    U : (N, n) commands
    D : (N, n) = qd' - qd [rad/s or m/s per tick]
    run : (N,) index into `runs`
    runs : the names of the runs
    """

    owner: Owner
    X: Array
    U: Array
    D: Array
    run: NDArray[np.int64]
    runs: tuple[str, ...]

    @classmethod
    def empty(cls, owner: Owner) -> Dataset:
        """Make a data set without transitions."""
        n = len(owner.joints)
        return cls(owner, np.zeros((0, 2 * n)), np.zeros((0, n)), np.zeros((0, n)), np.zeros(0, dtype=np.int64), ())

    @classmethod
    def of(cls, recording: Recording) -> Dataset:
        """Make the data set of one recording; DataError if it holds no commands."""
        if recording.u is None:
            raise DataError(f"{recording.name} holds no commands; a model of their effect cannot be fitted to it")
        owner = Owner(recording.joints, recording.interface, recording.period)
        return cls.empty(owner).with_run(recording.name, recording.transitions())

    def with_run(self, name: str, transitions: Iterable[Transition]) -> Dataset:
        """Return a data set that also holds the transitions of one more run."""
        n = len(self.owner.joints)
        rows = [(t.x[: 2 * n], t.u, t.x_next[n : 2 * n] - t.x[n : 2 * n]) for t in transitions]
        if not rows:
            return self
        X, U, D = (np.array(column) for column in zip(*rows, strict=True))
        index = np.full(len(rows), len(self.runs), dtype=np.int64)
        return Dataset(
            self.owner,
            np.vstack([self.X, X]),
            np.vstack([self.U, U]),
            np.vstack([self.D, D]),
            np.concatenate([self.run, index]),
            (*self.runs, name),
        )

    def merged(self, other: Dataset) -> Dataset:
        """Return both as one; DataError unless they belong to the same robot, interface and period."""
        store.check_owner(", ".join(other.runs), other.owner, self.owner)
        return Dataset(
            self.owner,
            np.vstack([self.X, other.X]),
            np.vstack([self.U, other.U]),
            np.vstack([self.D, other.D]),
            np.concatenate([self.run, other.run + len(self.runs)]),
            self.runs + other.runs,
        )

    def recordings(self) -> list[Recording]:
        """Return every run that is long enough as a recording, with the commands when they acted.

        A transition that does not begin where the one before ends is behind a gap.
        """
        n, dt, found = len(self.owner.joints), self.owner.dt, []
        for number, name in enumerate(self.runs):
            X, U, D = (part[self.run == number] for part in (self.X, self.U, self.D))
            if len(X) < FEWEST_ROWS:
                continue
            q, qd = X[:, :n], X[:, n:]
            joined = (np.abs(qd[1:] - qd[:-1] - D[:-1]) <= 1e-9).all(axis=1)
            stamps = np.concatenate([[0.0], np.cumsum(np.where(joined, dt, 10.0 * dt))])
            source, interface = "transitions", self.owner.interface
            found.append(Recording(name, self.owner.joints, stamps, q, qd, U, source, interface))
        return found

    def part(self, rows: NDArray[Any] | slice) -> Dataset:
        """Return the transitions `rows` (a mask, indices or a slice)."""
        return Dataset(self.owner, self.X[rows], self.U[rows], self.D[rows], self.run[rows], self.runs)

    def __len__(self) -> int:
        """Return N."""
        return len(self.X)

    def save(self, path: str | Path) -> None:
        """Write a file, atomically."""
        arrays = {"X": self.X, "U": self.U, "D": self.D, "run": self.run, "runs": np.array(self.runs or ("",))}
        store.save(path, KIND, self.owner, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Dataset:
        """Read a file that `save` wrote; DataError if it is another or damaged."""
        _, owner, arrays = store.load(path, KIND)
        n, missing = len(owner.joints), {"X", "U", "D", "run", "runs"} - set(arrays)
        if missing:
            raise DataError(f"{path} is no data set: it lacks {sorted(missing)}")
        shapes = [arrays[name].shape for name in ("X", "U", "D", "run")]
        N = shapes[3][0] if len(shapes[3]) == 1 else -1
        if shapes != [(N, 2 * n), (N, n), (N, n), (N,)] or any(arrays[name].dtype.kind != "f" for name in "XUD"):
            raise DataError(f"{path}: arrays of shapes {', '.join(map(str, shapes))} do not fit {n} joints")
        run, runs = arrays["run"], arrays["runs"]
        if run.dtype.kind not in "iu" or runs.dtype.kind != "U" or runs.ndim != 1:
            raise DataError(f"{path}: 'run' must hold whole numbers and 'runs' names")
        if N and not (0 <= run.min() and run.max() < len(runs)):
            raise DataError(f"{path}: 'run' names runs that there are not")
        data = cls(
            owner, arrays["X"], arrays["U"], arrays["D"], run.astype(np.int64, copy=False), tuple(map(str, runs))
        )
        return data
