"""The methods `backprop` and `policy_gradient`: that a short run learns, their settings, and what is kept."""

import numpy as np
import pytest

from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.learning.catalog import learner
from mbrl_ros.learning.ensemble_model import EnsembleModel
from mbrl_ros.learning.gradients.pathwise import Pathwise
from mbrl_ros.learning.policy_search import PolicySearch, PolicySettings, bounded_mean
from mbrl_ros.types import Transition
from support.motor_pole import MotorPole

QUICK = {"updates": 400, "hidden": 16, "networks": 2, "horizon": 20, "policy_updates": 40}
BALANCE = {"start": 0.1, "strength": 7.0, "tilt": 0.8, "steps": 60}


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(
    "method, changes",
    [
        ("backprop", {}),
        ("backprop", {"segment": 5}),
        ("policy_gradient", {}),
    ],
)
def test_a_short_run_balances_a_pole_that_falls_by_itself(method, changes):
    episodes = list(learner(method, {**QUICK, **changes})(MotorPole(**BALANCE), 1, 4))
    assert [episode.acted for episode in episodes] == ["random", *3 * ["policy"]]
    assert episodes[0].steps < 30 and episodes[-1].steps == 60
    assert episodes[-1].reward > 57.0


def test_no_rollout_counts_for_more_than_the_median_and_none_that_is_no_number():
    terms = np.array([[3.0, 0.0], [0.0, 4.0], [5e9, 0.0], [np.nan, 0.0], [np.inf, 0.0]])
    assert bounded_mean(terms) == pytest.approx(np.array([3.0 + 4.0, 4.0]) / 3.0)
    assert (bounded_mean(terms[3:]) == 0.0).all()
    assert (bounded_mean(np.zeros((4, 2))) == 0.0).all()


class Blind:
    """A gradient that is never a number."""

    def __call__(self, theta, W, drawn, p):
        return np.full(1, np.nan), np.full((1, len(theta)), np.nan)


def search(make):
    task, settings = MotorPole(), PolicySettings(updates=60, hidden=8, networks=2, horizon=5, policy_updates=20)
    model, rng = EnsembleModel(task.info, settings, 0), np.random.default_rng(0)
    x, transitions = task.reset(0), []
    for t in range(30):
        u = rng.uniform(-1.0, 1.0, 1)
        following = task.step(u).x
        transitions.append(Transition(0.05 * t, x, u, following))
        x = following
    model.add(transitions)
    model.fit()
    return PolicySearch(task, settings, model, 0, make)


def test_a_gradient_that_is_no_number_leaves_the_policy_as_it_is():
    found = search(lambda problem, H: Blind())
    before = found.theta.copy()
    found.descend(np.array([[np.pi, 0.0]]))
    assert np.array_equal(found.theta, before)


def test_a_descent_that_only_goes_uphill_keeps_the_policy_it_began_with():
    class Uphill:
        def __init__(self, gradient):
            self._gradient = gradient

        def __call__(self, *given):
            costs, terms = self._gradient(*given)
            return costs, -terms

    kept, moved = (
        search(lambda problem, H: Uphill(Pathwise(problem, H, 10))),
        search(lambda problem, H: Pathwise(problem, H, 10)),
    )
    before = kept.theta.copy()
    for one in (kept, moved):
        one.descend(np.array([[np.pi, 0.0]]))
    assert np.array_equal(kept.theta, before) and not np.array_equal(moved.theta, before)


@pytest.mark.parametrize(
    "name, changes, said",
    [
        ("backprop", {"segment": 7}, "must divide the horizon, 40"),
        ("policy_gradient", {"replicates": 3}, "must divide rollouts, 10"),
        ("policy_gradient", {"exploration": 0.0}, "must lie in"),
        ("backprop", {"bootstrap": 2}, "bootstrap"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(name, changes, said):
    with pytest.raises(ConfigurationError, match=said):
        learner(name, changes)


def test_segments_that_do_not_fill_the_horizon_of_the_task_are_refused_before_an_episode():
    task = MotorPole(**BALANCE)
    learn = learner("backprop", {**QUICK, "horizon": 0, "segment": task.info.horizon - 1})
    with pytest.raises(ConfigurationError, match=f"divide the horizon, {task.info.horizon}"):
        learn(task, 0, 1)
