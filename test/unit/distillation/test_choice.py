"""Discrete policies: what is saved can be read, and what several become is asked only where each was taught."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.distillation import choice as choices
from mbrl_ros.distillation import storage
from mbrl_ros.distillation.choice import ChoicePolicy, load_choice, merge_choices
from mbrl_ros.distillation.soft_targets import Choice
from mbrl_ros.exceptions import DataError


def policy(features=2, tasks=1, rows=7, seed=0, center=0.0, units=3, row_task=None):
    rng, inputs = np.random.default_rng(seed), features + (tasks if tasks > 1 else 0)
    W1, W2 = rng.standard_normal((units, inputs)), rng.standard_normal((2, units))
    choice = Choice(W1, np.zeros(units), W2, np.zeros(2), np.zeros(inputs), np.ones(inputs))
    states = center + rng.uniform(-1.0, 1.0, (rows, features))
    return ChoicePolicy(choice, ("a", "b"), tasks, states, {"seed": seed}, row_task)


@pytest.mark.parametrize(
    "made, match",
    [
        (lambda: policy(rows=5001), "5001 rows, of 1 to 5000"),
        (lambda: policy(rows=0), "0 rows"),
        (lambda: policy(tasks=1001), "1001 tasks, of 1 to 1000"),
        (lambda: policy(units=1025), "1025 hidden units"),
        (lambda: policy(features=10_001), "10001 features"),
        (lambda: policy(features=5000, rows=3000), "more than a file holds"),
        (lambda: policy(tasks=2, row_task=np.arange(7)), "'row_task' must hold a task of 0 to 1"),
        (lambda: policy(tasks=2, row_task=np.zeros(3, int)), "'row_task' must hold a task"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, made, match):
    with pytest.raises(DataError, match=match):
        made().save(tmp_path / "a.choice")
    assert not (tmp_path / "a.choice").exists()


def test_the_largest_that_is_written_can_be_read(tmp_path):
    whole = policy(features=1500, rows=5000, tasks=3, units=64, row_task=np.arange(5000) % 3)
    whole.save(tmp_path / "a.choice")
    found = load_choice(tmp_path / "a.choice")
    np.testing.assert_array_equal(found.rows, whole.rows)
    np.testing.assert_array_equal(found.row_task, whole.row_task)
    assert found.row_task.dtype == np.int64


@pytest.mark.parametrize("tasks", [[0.5] + [0.0] * 6, [-1.0] + [0.0] * 6, [1e30] + [0.0] * 6, [0.0] * 6])
def test_tasks_of_rows_that_are_none_are_refused(tmp_path, tasks):
    policy(tasks=2, row_task=np.zeros(7, int)).save(tmp_path / "a.choice")
    meta, arrays = storage.load(tmp_path / "a.choice", "choice")
    storage.save(tmp_path / "a.choice", "choice", meta, {**arrays, "row_task": np.array(tasks)})
    with pytest.raises(DataError, match="row_task"):
        load_choice(tmp_path / "a.choice")


def test_what_is_too_large_together_is_refused_before_it_is_allocated(monkeypatch):
    monkeypatch.setattr(choices, "fit_choice", lambda *given, **more: pytest.fail("it was asked"))
    many = policy(tasks=600, rows=4800, row_task=np.arange(4800) % 600)
    with pytest.raises(DataError, match="1200 tasks at 9600 states"):
        merge_choices([many, many])
    with pytest.raises(DataError, match="too many to be merged"):
        merge_choices([policy(features=6000, rows=1200)] * 6)


@pytest.mark.slow
def test_a_merged_policy_is_asked_for_each_task_where_that_one_was_taught(monkeypatch):
    first = merge_choices([policy(seed=1, center=-9.0), policy(seed=2, rows=9)])
    asked, fitted = [], choices.fit_choice
    monkeypatch.setattr(
        choices, "fit_choice", lambda x, *more, **options: asked.append(x) or fitted(x, *more, **options)
    )
    whole = merge_choices([first, policy(seed=3, center=9.0)])
    (x,) = asked
    np.testing.assert_array_equal(x[:, 2:].sum(axis=0), [7, 9, 7])
    for task, center in enumerate((-9.0, 0.0, 9.0)):
        assert np.abs(x[x[:, 2 + task] == 1.0, :2] - center).max() <= 1.0
        assert np.abs(whole.rows_of(task) - center).max() <= 1.0
    with pytest.raises(DataError, match="at which states its task 0"):
        merge_choices([dataclasses.replace(first, row_task=None), policy()])


def test_every_task_keeps_its_share_of_the_states(monkeypatch):
    monkeypatch.setattr(choices, "MOST_ROWS", 200)
    parts = [policy(seed=seed, rows=120) for seed in range(4)]
    merged = merge_choices(parts)
    np.testing.assert_array_equal(np.bincount(merged.row_task), [50] * 4)
