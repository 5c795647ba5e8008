r"""A discrete policy in a file: a student of soft targets (soft_targets.py), the names of its options, and its states.

    pi(k | x, task) = softmax_k y(x, task),    y the student's logits

Several become one (`merge_choices`): the task is an input of the student, a one-hot behind the features, and the
student maximises the expected log likelihood under its teachers,

    sum_i E_{x of teacher i} sum_k pi_i(k | x) log pi(k | x, i),

over the states that each teacher was taught at, which its file holds (of several tasks: with the task of each).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array
from . import storage
from .soft_targets import Choice, fit_choice, soft_targets

KIND = "choice"
LARGEST_CHOICE, LARGEST_ARRAYS, LARGEST_MERGE = 64 << 20, 60 << 20, 256 << 20  # [bytes] of a file, of what a merge asks
MOST_ROWS = 5000  # states that a file holds
_CHOICE_ARRAYS = tuple(field.name for field in dataclasses.fields(Choice))
MOST_CHOICE_UNITS, MOST_OPTIONS, MOST_FEATURES, MOST_CHOICE_TASKS = 1024, 64, 10_000, 1000


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class ChoicePolicy:
    """A discrete policy.

    Attributes
    ----------
    choice : the student, of features (m + tasks,), or (m,) with one task
    options : names of the K options
    tasks : how many tasks it knows
    rows : (R, m) states that it was taught at
    about : where it comes from
    row_task : (R,) the task that each of them was taught at; None: not known, or one task
    """

    choice: Choice
    options: tuple[str, ...]
    tasks: int
    rows: Array
    about: dict[str, Any]
    row_task: NDArray[np.int64] | None = None

    def of_task(self, task: int) -> Choice:
        """Return the student of one task, a function of the m features alone; DataError if there is no such task."""
        if not 0 <= task < self.tasks:
            raise DataError(f"the policy knows tasks 0 to {self.tasks - 1}, not {task}")
        if self.tasks == 1:
            return self.choice
        c, m = self.choice, self.rows.shape[1]
        white = (np.eye(self.tasks)[task] - c.mean[m:]) / c.deviation[m:]
        return dataclasses.replace(
            c, W1=c.W1[:, :m].copy(), b1=c.b1 + c.W1[:, m:] @ white, mean=c.mean[:m], deviation=c.deviation[:m]
        )

    def rows_of(self, task: int) -> Array:
        """Return the states (R_t, m) that one task was taught at; DataError if they are not known."""
        if self.tasks == 1:
            return self.rows
        rows = self.rows[self.row_task == task] if self.row_task is not None else self.rows[:0]
        if not len(rows):
            raise DataError(f"the policy does not tell at which states its task {task} was taught")
        return rows

    def save(self, path: str | Path) -> None:
        """Write a file, atomically. DataError: `load_choice` would refuse it; OSError: the disk does not take it."""
        try:
            _check(self)
        except ValueError as error:
            raise DataError(f"{path}: not a discrete policy: {error}") from None
        meta = {"options": list(self.options), "tasks": self.tasks, "about": self.about}
        arrays = {name: getattr(self.choice, name) for name in _CHOICE_ARRAYS} | {"rows": self.rows}
        if self.row_task is not None:
            arrays["row_task"] = self.row_task.astype(np.float64)
        storage.save(path, KIND, meta, arrays)


def _check(policy: ChoicePolicy) -> None:
    """Raise ValueError where a size is out of range, or an array has the wrong shape or sign."""
    c, rows, tasks, row_task = policy.choice, policy.rows, policy.tasks, policy.row_task
    if rows.ndim != 2 or c.W1.ndim != 2:
        raise ValueError("'rows' or 'W1' has the wrong shape")
    units, m, K = len(c.W1), rows.shape[1], len(policy.options)
    for what, count, most in (
        ("options", K, MOST_OPTIONS),
        ("tasks", tasks, MOST_CHOICE_TASKS),
        ("hidden units", units, MOST_CHOICE_UNITS),
        ("features", m, MOST_FEATURES),
        ("rows", len(rows), MOST_ROWS),
    ):
        if type(count) is not int or not 1 <= count <= most:
            raise ValueError(f"{count} {what}, of 1 to {most}")
    inputs = m + (tasks if tasks > 1 else 0)
    sizes = {"W1": (units, inputs), "b1": (units,), "W2": (K, units), "b2": (K,)}
    for name, size in {**sizes, "mean": (inputs,), "deviation": (inputs,)}.items():
        if getattr(c, name).shape != size:
            raise ValueError(f"'{name}' has shape {getattr(c, name).shape}, expected {size}")
    if (c.deviation <= 0.0).any():
        raise ValueError("'deviation' must be positive")
    if row_task is not None and (row_task.shape != (len(rows),) or not np.isin(row_task, np.arange(tasks)).all()):
        raise ValueError(f"'row_task' must hold a task of 0 to {tasks - 1} for each of {len(rows)} rows")
    if 8 * (rows.size + c.W1.size + c.W2.size) > LARGEST_ARRAYS:
        raise ValueError(f"{rows.size} numbers of rows are more than a file holds")


def is_choice(path: str | Path) -> bool:
    """Return whether a file begins as that of a discrete policy does; DataError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.readline(100).startswith(f"mbrl_ros {KIND} ".encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def load_choice(path: str | Path) -> ChoicePolicy:
    """Read a discrete policy; DataError if the file is damaged, another kind of file or inconsistent."""
    meta, arrays = storage.load(path, KIND, LARGEST_CHOICE)
    try:
        options, tasks, about = tuple(map(str, meta["options"])), meta["tasks"], dict(meta["about"])
        task = arrays.get("row_task")
        if task is not None and ((task % 1.0 != 0.0) | (np.abs(task) > MOST_CHOICE_TASKS)).any():
            raise ValueError("'row_task' must hold numbers of tasks")
        policy = ChoicePolicy(
            Choice(**{name: arrays[name] for name in _CHOICE_ARRAYS}),
            *(options, tasks, arrays["rows"], about),
            row_task=None if task is None else task.astype(np.int64),
        )
        _check(policy)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: does not hold a discrete policy: {str(error)[:200]}") from None
    return policy


def merge_choices(
    policies: Sequence[ChoicePolicy], *, temperature: float = 1.0, units: int = 32, seed: int = 0
) -> ChoicePolicy:
    """Return one student of discrete policies, the tasks of the first one first; deterministic given the seed.

    Parameters
    ----------
    temperature : at which the teachers' probabilities are matched
    units : hidden units of the student

    Raises
    ------
    DataError : fewer than two policies, not of the same options and features, or too large together
    """
    if len(policies) < 2:
        raise DataError(f"at least two policies become one, got {len(policies)}")
    first = policies[0]
    for policy in policies[1:]:
        if policy.options != first.options or policy.rows.shape[1] != first.rows.shape[1]:
            raise DataError("the discrete policies differ in their options or features")
    asked = [(policy, task) for policy in policies for task in range(policy.tasks)]
    states = [policy.rows_of(task) for policy, task in asked]
    m, count = first.rows.shape[1], sum(map(len, states))
    if len(asked) > MOST_CHOICE_TASKS or 8 * count * (m + len(asked)) > LARGEST_MERGE:
        raise DataError(
            f"{len(asked)} tasks at {count} states of {m} features are too many to be merged; at most "
            f"{MOST_CHOICE_TASKS} tasks and {LARGEST_MERGE >> 20} MiB"
        )
    number = np.repeat(np.arange(len(asked)), [len(rows) for rows in states])
    x = np.concatenate(states)
    y = np.concatenate([policy.of_task(task).logits(rows) for (policy, task), rows in zip(asked, states, strict=True)])
    one_hot = np.eye(len(asked))[number]
    student = fit_choice(np.hstack([x, one_hot]), y, temperature, units=units, iterations=500, seed=seed)
    share = max(1, min(MOST_ROWS, LARGEST_ARRAYS // (16 * m)) // len(asked))  # of each task
    rng = np.random.default_rng(seed)
    kept = np.sort(np.concatenate([rng.permutation(np.flatnonzero(number == k))[:share] for k in range(len(asked))]))
    about = {"merged_from": [policy.about for policy in policies], "temperature": temperature, "seed": seed}
    return ChoicePolicy(student, first.options, len(asked), x[kept], about, number[kept])


def choice_distances(student: ChoicePolicy, policies: Sequence[ChoicePolicy]) -> list[float]:
    """Return for each task of the merged `student` the mean of 1/2 sum_k |pi_i(k) - pi(k)| where it was taught."""
    asked = [(policy, task) for policy in policies for task in range(policy.tasks)]
    found = []
    for number, (policy, task) in enumerate(asked):
        rows = policy.rows_of(task)
        pair = (soft_targets(one.logits(rows), 1.0) for one in (policy.of_task(task), student.of_task(number)))
        found.append(float(np.abs(np.subtract(*pair)).sum(axis=1).mean()) / 2.0)
    return found
