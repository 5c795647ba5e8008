r"""A discrete policy in a file: a student of soft targets (soft_targets.py), the names of its options, and its states.

    pi(k | x, task) = softmax_k y(x, task),    y the student's logits

Several become one (`merge_choices`): the task is an input of the student, a one-hot behind the features, and the
student maximises the expected log likelihood under its teachers,

    sum_i E_{x of teacher i} sum_k pi_i(k | x) log pi(k | x, i),

over the states that each teacher was taught at, which its file holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataError
from ..types import Array
from . import storage
from .soft_targets import Choice, fit_choice

KIND = "choice"
LARGEST_CHOICE = 64 << 20  # [bytes] of a file
MOST_ROWS = 5000  # states that a file holds
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
    """

    choice: Choice
    options: tuple[str, ...]
    tasks: int
    rows: Array
    about: dict[str, Any]

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

    def save(self, path: str | Path) -> None:
        """Write a file, atomically; OSError if the disk does not take it."""
        meta = {"options": list(self.options), "tasks": self.tasks, "about": self.about}
        arrays = {field.name: getattr(self.choice, field.name) for field in dataclasses.fields(self.choice)}
        storage.save(path, KIND, meta, {**arrays, "rows": self.rows})


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
        rows = arrays.pop("rows")
        choice = Choice(**arrays)
        if rows.ndim != 2 or choice.W1.ndim != 2:
            raise ValueError("'rows' or 'W1' has the wrong shape")
        units, m, K = len(choice.W1), rows.shape[1], len(options)
        inputs = m + (tasks if tasks > 1 else 0)
        for what, count, most in (
            ("options", K, MOST_OPTIONS),
            ("tasks", tasks, MOST_CHOICE_TASKS),
            ("hidden units", units, MOST_CHOICE_UNITS),
            ("features", m, MOST_FEATURES),
            ("rows", len(rows), MOST_ROWS),
        ):
            if type(count) is not int or not 1 <= count <= most:
                raise ValueError(f"{count} {what}, of 1 to {most}")
        sizes = {"W1": (units, inputs), "b1": (units,), "W2": (K, units), "b2": (K,)}
        for name, size in {**sizes, "mean": (inputs,), "deviation": (inputs,)}.items():
            if arrays[name].shape != size:
                raise ValueError(f"'{name}' has shape {arrays[name].shape}, expected {size}")
        if (choice.deviation <= 0.0).any():
            raise ValueError("'deviation' must be positive")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: does not hold a discrete policy: {str(error)[:200]}") from None
    return ChoicePolicy(choice, options, tasks, rows, about)


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
    DataError : fewer than two policies, or not of the same options and features
    """
    if len(policies) < 2:
        raise DataError(f"at least two policies become one, got {len(policies)}")
    first = policies[0]
    for policy in policies[1:]:
        if policy.options != first.options or policy.rows.shape[1] != first.rows.shape[1]:
            raise DataError("the discrete policies differ in their options or features")
    asked = [(policy, task) for policy in policies for task in range(policy.tasks)]
    one_hot, x, y = np.eye(len(asked)), [], []
    for number, (policy, task) in enumerate(asked):
        x.append(np.hstack([policy.rows, np.tile(one_hot[number], (len(policy.rows), 1))]))
        y.append(policy.of_task(task).logits(policy.rows))
    student = fit_choice(np.concatenate(x), np.concatenate(y), temperature, units=units, iterations=500, seed=seed)
    rows = np.concatenate([policy.rows for policy in policies])
    rows = rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS])]
    about = {"merged_from": [policy.about for policy in policies], "temperature": temperature, "seed": seed}
    return ChoicePolicy(student, first.options, len(asked), rows, about)
