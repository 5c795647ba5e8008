"""The task `panda_reach`: its starts, what a policy sees, that its cost leads to the target, and what it earns."""

import numpy as np
import pytest

from mbrl_ros.tasks.catalog import make_task
from mbrl_ros.tasks.panda_reach import ARM, HOME, REACH_WITHIN, TARGET_SPREAD
from support.needs import needs

pytestmark = needs("mujoco", "example-robot-data")


@pytest.fixture(scope="module")
def task():
    return make_task("panda_reach")


def test_starts_and_targets_are_spread_about_the_home_posture(task):
    starts = np.array([task.reset(seed) for seed in range(200)])
    middle = task.tip(np.array(HOME))
    away = starts[:, :ARM] - HOME
    assert np.abs(away.mean(axis=0)).max() < 0.03 and away.std() == pytest.approx(0.1, rel=0.1)
    apart = starts[:, ARM : ARM + 3] - middle
    assert 0.9 * TARGET_SPREAD < np.abs(apart).max() <= TARGET_SPREAD
    assert (starts[:, ARM + 3 :] == 0.0).all()


def test_the_target_stands_still_and_the_hand_follows_the_commanded_velocity(task):
    x = task.reset(1)
    u = np.append(np.full(ARM, 0.3), np.ones(3))
    for _ in range(20):
        following = task.step(u).x
    np.testing.assert_array_equal(following[ARM : ARM + 3], x[ARM : ARM + 3])
    assert following[ARM + 3 : 2 * ARM + 3] == pytest.approx(u[:ARM], abs=0.05)
    assert (following[2 * ARM + 3 :] == 0.0).all()


def test_a_policy_sees_the_error_and_the_step_that_takes_it_away(task):
    x = task.reset(2)
    seen = np.array(task.info.observe(x))[:, 0]
    error = seen[ARM : ARM + 3]
    assert np.linalg.norm(error) == pytest.approx(task.distance(x), rel=1e-9)
    assert error == pytest.approx(task.tip(x[:ARM]) - x[ARM : ARM + 3])
    for _ in range(20):
        x = np.concatenate([x[:ARM] - np.array(task.info.observe(x))[ARM + 3 :, 0], x[ARM:]])
    assert task.distance(x) < 1e-3


def test_the_step_as_a_command_reaches_the_target_and_the_cost_falls_with_the_distance(task):
    x, p = task.reset(3), task.info.cost.parameters(1)[0]
    far, rest, total = float(task.info.cost.stage(x, np.zeros(10), np.zeros(10), p)), np.zeros(10), 0.0
    for _ in range(task.info.steps):
        step = task.step(np.append(-4.0 * np.array(task.info.observe(x))[ARM + 3 :, 0], np.zeros(3)))
        x, total = step.x, total + step.reward
    assert task.distance(x) < REACH_WITHIN and step.reward == -task.distance(x)
    assert total > task.info.solved
    assert float(task.info.cost.stage(x, rest, rest, p)) < 0.02 * far
