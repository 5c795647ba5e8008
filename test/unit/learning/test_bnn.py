"""The method `bnn`, and what it shares with `pets`: samples for every plan, calibration, and plans that end in time."""

import numpy as np
import pytest

from mbrl_ros.dynamics.gaussian_ensemble import features
from mbrl_ros.exceptions import DataError
from mbrl_ros.learning import bnn, pets
from mbrl_ros.learning.base import roll_out
from mbrl_ros.learning.catalog import learner
from mbrl_ros.learning.ensemble_model import BayesianModel, EnsembleModel, rows_of
from mbrl_ros.learning.particle_planner import LEAST_STAGES, ParticlePlanner, SearchSettings
from support.motor_pole import MotorPole

FIT = {"updates": 300, "variational_updates": 600, "hidden": 12}


def shown(model, episodes, seed=0):
    """Add random episodes to a model, fit it, and return the transitions of one more."""
    rng = np.random.default_rng(seed)
    runs = [roll_out(MotorPole(), n, lambda t, x: rng.uniform(-1.0, 1.0, 1)).transitions for n in range(episodes + 1)]
    for run in runs[:-1]:
        model.add(run)
    model.fit()
    return runs[-1]


def test_every_plan_has_samples_of_its_own():
    model = BayesianModel(MotorPole().info, bnn.Settings(**FIT, networks=3), 0)
    with pytest.raises(DataError, match="nothing was fitted"):
        model.redraw()
    shown(model, 1)
    at = np.ones((3, 4, 2)), np.zeros((3, 4, 1))
    first = model.change(*at)[0]
    assert first.shape == (3, 4, 1) and len(np.unique(first[:, 0])) == 3
    assert np.array_equal(first, model.change(*at)[0])
    model.redraw()
    assert not np.isclose(first, model.change(*at)[0]).any()


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("posterior", ["network", "last_layer"])
def test_a_short_run_swings_a_strong_pole_up(posterior):
    changes = {"rollouts": 80, "iterations": 2, "networks": 3, "horizon": 15, "hidden": 16, "updates": 600}
    learn = learner("bnn", {**changes, "variational_updates": 1500, "posterior": posterior})
    episodes = list(learn(MotorPole(), 10, 3))
    assert [episode.acted for episode in episodes] == ["random", "mpc", "mpc"]
    assert episodes[-1].reward > 3.0 * episodes[0].reward


@pytest.mark.parametrize("members", ["same", "resampled"])
def test_a_calibration_on_another_episode_makes_its_errors_likely(members):
    model = EnsembleModel(MotorPole().info, pets.Settings(updates=300, hidden=12, members=members), 0)
    held_out = shown(model, 2)
    assert (model.spread == 1.0).all()
    model.calibrate(held_out)
    X, U, d = rows_of(held_out)
    mean, aleatoric, epistemic = model.ensemble.moments(features(X, U))

    def density(spread):
        variance = aleatoric + spread**2 * epistemic
        return -0.5 * (np.log(variance) + (d - mean) ** 2 / variance).mean()

    assert all(density(model.spread) >= density(factor * model.spread) for factor in (0.9, 1.1))
    apart = model.disagreement(X, U)
    model.spread = 2.0 * model.spread
    assert model.disagreement(X, U) == pytest.approx(2.0 * apart)


class Apart:
    """Members that are `beyond` apart where the speed is above 1, and agree elsewhere."""

    members = 2

    def __init__(self, beyond):
        self.beyond = beyond

    def change(self, X, U):
        return np.full(U.shape, 0.1), np.zeros(U.shape)

    def disagreement(self, X, U):
        return np.where(X[..., 1] > 1.0, self.beyond, 0.0)


@pytest.mark.parametrize(
    "limit, beyond, speed, stages",
    [
        (0.0, 9.0, 0.05, 20),  # no limit
        (0.5, 0.4, 0.05, 20),  # the members agree well enough
        (0.5, 9.0, 0.05, 10),  # the speed is 0.05 + 0.1 t
        (0.5, np.nan, 0.05, 10),
        (0.5, 9.0, 5.0, LEAST_STAGES),
    ],
)
def test_a_search_looks_as_far_as_the_members_agree(limit, beyond, speed, stages):
    info, counts = MotorPole().info, []
    planner = ParticlePlanner(info, SearchSettings(rollouts=8, iterations=2, horizon=20, disagreement=limit), 2, 0)
    costs = planner._particles.costs
    planner._particles.costs = lambda model, x0, U, *rest: counts.append(U.shape[1]) or costs(model, x0, U, *rest)
    U = planner.plan(Apart(beyond), np.array([0.0, speed]), np.zeros(1))
    assert set(counts) == {stages} and U.shape == (20, 1) and np.isfinite(U).all()


def test_a_limit_that_is_never_reached_changes_nothing():
    quick = {"updates": 60, "hidden": 8, "networks": 2, "rollouts": 24, "iterations": 2, "horizon": 6}
    plain, limited = (
        [episode.reward for episode in learner("pets", {**quick, **more})(MotorPole(steps=20), 10, 3)]
        for more in ({}, {"disagreement": 1e6})
    )
    assert plain == limited
