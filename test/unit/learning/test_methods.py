"""The methods: what they learn, what their models promise, and that a seed repeats."""

import numpy as np
import pytest

from mbrl_ros.exceptions import ConfigurationError, DataError
from mbrl_ros.learning import global_model
from mbrl_ros.learning.base import episode_seed, roll_out
from mbrl_ros.learning.catalog import LEARNING_METHODS, find_method, learner
from mbrl_ros.learning.global_model import GlobalModel
from mbrl_ros.tasks.catalog import make_task
from support.motor_pole import MotorPole
from support.needs import needs

NEEDED = {"td3": needs("skrl", "jax", "flax")}  # what a method needs besides


@pytest.fixture
def short_fits(monkeypatch):
    """Fits of a second each."""
    monkeypatch.setattr(global_model, "FIT_UPDATES", 1500)


def learned(method, task, seed, episodes):
    return list(find_method(method).learn(task, seed, episodes))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", [10, 11])
def test_online_keeps_an_unstable_pole_upright_from_the_first_episode_on(seed):
    (episode,) = learned("online", MotorPole(start=0.0, tilt=0.4, steps=150), seed, 1)
    assert episode.steps == 150 and episode.reward > 149.0


def test_without_commands_that_pole_falls():
    task = MotorPole(start=0.0, tilt=0.4, steps=150)
    assert roll_out(task, episode_seed(10, 0), lambda t, x: np.zeros(1)).failed


@needs("gymnasium", "mujoco", "imageio")
def test_online_balances_the_inverted_pendulum_from_nothing():
    (episode,) = learned("online", make_task("inverted_pendulum"), 10, 1)
    assert (episode.steps, episode.reward) == (1000, 1000.0)


@needs("gymnasium", "mujoco", "imageio")
def test_online_reaches_with_the_planar_arm_of_gymnasium():
    episodes = learned("online", make_task("reacher"), 10, 5)
    assert np.mean([episode.reward for episode in episodes]) > -7.0


@pytest.mark.slow
def test_the_model_of_few_episodes_promises_more_than_its_plan_earns(short_fits):
    collected, planned, replanned = learned("fit_once", make_task("cartpole_swingup"), 10, 3)
    assert [collected.acted, planned.acted, replanned.acted] == ["random", "open_loop", "mpc"]
    assert planned.predicted > 2.0 * planned.reward
    assert replanned.reward > planned.reward


@pytest.mark.slow
def test_aggregation_closes_the_gap_between_promise_and_return(short_fits):
    episodes = learned("aggregate", MotorPole(), 10, 6)
    gaps = [abs(episode.predicted - episode.reward) for episode in episodes[1:]]
    assert gaps[-1] < 0.3 * gaps[0] and gaps[-1] < 0.15 * episodes[-1].reward


@pytest.mark.slow
def test_aggregation_under_mpc_swings_the_pole_up_again_and_again(short_fits):
    episodes = learned("aggregate_mpc", MotorPole(), 10, 5)
    assert [episode.acted for episode in episodes] == ["random"] + 4 * ["mpc"]
    assert episodes[-1].reward > 3.0 * episodes[0].reward


@pytest.mark.slow(but=2)
@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=NEEDED[name]) if name in NEEDED else name for name in LEARNING_METHODS]
)
def test_a_seed_repeats_to_the_last_bit_and_another_differs(method, monkeypatch):
    monkeypatch.setattr(global_model, "FIT_UPDATES", 100)
    fit = {"updates": 60, "horizon": 6}
    search, descent = {"rollouts": 24, "iterations": 2}, {"rollouts": 4, "policy_updates": 20}
    settings = {
        "pets": fit | search,
        "bnn": fit | search | {"variational_updates": 60},
        "backprop": fit | descent | {"segment": 3},
        "policy_gradient": fit | descent | {"replicates": 2},
        "gps": {"conditions": 1},
    }.get(method, {})
    first, again, other = (
        [(episode.steps, episode.reward) for episode in learner(method, settings)(MotorPole(steps=20), seed, 3)]
        for seed in (10, 10, 11)
    )
    assert first == again
    assert first != other


def test_the_global_model_predicts_what_it_was_shown(monkeypatch):
    monkeypatch.setattr(global_model, "FIT_UPDATES", 3000)
    task, model, rng = MotorPole(), GlobalModel(MotorPole().info, 0), np.random.default_rng(0)
    with pytest.raises(DataError, match="nothing was fitted"):
        model.predict(np.zeros(2), np.zeros(1))
    for number in range(3):
        model.add(roll_out(task, number, lambda t, x: rng.uniform(-1.0, 1.0, 1)).transitions)
    model.fit()
    held_out = roll_out(task, 99, lambda t, x: rng.uniform(-1.0, 1.0, 1)).transitions
    errors = np.array([model.predict(t.x, t.u) - t.x_next for t in held_out])
    changes = np.array([t.x_next - t.x for t in held_out])
    assert np.sqrt((errors**2).mean(axis=0) / (changes**2).mean(axis=0)).max() < 0.2


def test_an_unknown_method_is_answered_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match="no method 'agregate'; did you mean 'aggregate'"):
        find_method("agregate")
