"""The method `pets`: its particles, its planner, its settings, and that a short run learns and repeats."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from mbrl_ros.cli.main import main
from mbrl_ros.exceptions import ConfigurationError, DataError
from mbrl_ros.learning import pets
from mbrl_ros.learning.catalog import learner
from mbrl_ros.learning.ensemble_model import EnsembleModel
from mbrl_ros.learning.experiment import run_experiment
from mbrl_ros.learning.particle_planner import ParticlePlanner, SearchSettings
from mbrl_ros.learning.particles import Particles, assignment, tail_mean
from support.motor_pole import MotorPole

QUICK = {"updates": 60, "rollouts": 24, "iterations": 2, "horizon": 6, "networks": 2, "hidden": 8}


class Drifts:
    """Member m adds m + 1 to the velocity at every stage, without noise or with `std`."""

    def __init__(self, members, std=0.0):
        self.members, self.std = members, std

    def change(self, X, U):
        mean = np.broadcast_to(1.0 + np.arange(self.members)[:, None, None], U.shape)
        return mean, np.full(U.shape, self.std)


class Gains:
    """Member m adds gains[m] u to the velocity at every stage."""

    def __init__(self, gains):
        self.members, self.gains = len(gains), np.array(gains)

    def change(self, X, U):
        return self.gains[:, None, None] * U, np.zeros(U.shape)


def rolled(propagation, H=8, M=3, each=4, std=0.0, plans=2):
    particles = Particles(MotorPole().info.cost, 0.05, H, propagation, M, each)
    particles.draw(np.random.default_rng(0))
    return particles.roll(Drifts(M, std), np.zeros(2), np.zeros((plans, H, 1)))


def test_ts_infinity_keeps_one_member_for_each_particle():
    speeds = rolled("ts_infinity")[..., 1]
    steps = np.diff(speeds, axis=0)
    assert (steps == steps[0]).all()
    assert sorted(steps[0, :, 0]) == [1.0] * 4 + [2.0] * 4 + [3.0] * 4


def test_ts1_draws_the_member_of_a_particle_anew_and_uses_all_alike():
    steps = np.diff(rolled("ts1", H=60)[..., 1], axis=0)[:, :, 0]
    assert all(len(set(steps[:, particle])) == 3 for particle in range(12))
    assert (np.sort(steps, axis=1) == [1.0] * 4 + [2.0] * 4 + [3.0] * 4).all()
    same = (steps[1:] == steps[:-1]).mean()
    assert same == pytest.approx(1.0 / 3.0, abs=0.06), "a draw does not depend on the one before"


def test_ignorance_spreads_with_the_horizon_by_ts_infinity_and_averages_out_by_ts1():
    kept, redrawn = (rolled(name, H=60)[-1, :, 0, 1].std() for name in ("ts_infinity", "ts1"))
    assert kept > 4.0 * redrawn


def test_every_plan_of_a_search_meets_the_same_members_and_the_same_noise():
    X = rolled("ts1", std=0.5, plans=3)
    assert np.array_equal(X[:, :, 0], X[:, :, 1]) and np.array_equal(X[:, :, 0], X[:, :, 2])
    assert np.ptp(X[-1, :, 0, 1]) > 1.0


def test_positions_follow_from_the_velocities_by_the_trapezoid_rule():
    X = rolled("ts1", std=0.5)
    q, qd = X[..., 0], X[..., 1]
    assert np.diff(q, axis=0) == pytest.approx(0.5 * 0.05 * (qd[1:] + qd[:-1]))


def test_the_order_of_particles_is_a_permutation_at_every_stage():
    order = assignment("ts1", 5, 3, 2, np.random.default_rng(0))
    assert (np.sort(order, axis=1) == np.arange(6)).all() and len(np.unique(order, axis=0)) > 1


def test_a_plan_through_what_diverges_is_finite_and_inside_the_limits():
    class Diverging(Drifts):
        def change(self, X, U):
            return np.where(U > 0.0, np.inf, 0.0), np.zeros(U.shape)

    planner = ParticlePlanner(MotorPole().info, SearchSettings(rollouts=40, iterations=2, horizon=5), 2, 0)
    U = planner.plan(Diverging(2), np.array([0.1, 0.0]), np.zeros(1))
    assert np.isfinite(U).all() and (U <= 0.0).all() and (U >= -1.0).all()


def test_a_plan_minimizes_the_mean_cost_over_the_members_and_not_the_cost_of_their_mean():
    """With gains of 0.2 and 1.8 the mean says 1; a plan that trusts it costs more than one that hedges."""
    info, settings, x0 = MotorPole().info, SearchSettings(rollouts=2000, iterations=10, horizon=6), np.array([0.3, 0.0])
    hedged, trusting = (
        ParticlePlanner(info, settings, len(gains), 0).plan(Gains(gains), x0, np.zeros(1)).copy()
        for gains in ([0.2, 1.8], [1.0])
    )
    particles = Particles(info.cost, info.dt, 6, "ts_infinity", 2, 1)
    particles.draw(np.random.default_rng(0))

    def mean_cost(U):
        return particles.costs(Gains([0.2, 1.8]), x0, U.reshape(-1, 6, 1), np.zeros(1), info.cost.parameters(6))

    least = minimize(lambda u: mean_cost(u)[0], np.zeros(6), bounds=[(-1.0, 1.0)] * 6).fun
    assert mean_cost(hedged)[0] <= 1.05 * least
    assert mean_cost(trusting)[0] >= 1.15 * least


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.05, 1e-6])
def test_the_risk_is_the_tail_mean_of_the_costs(share):
    """Against the definition min_v v + E max(0, cost - v) / share (Rockafellar and Uryasev 2000)."""
    costs = np.random.default_rng(0).standard_normal((40, 3)) ** 3
    for found, each in zip(tail_mean(costs, share), costs.T, strict=True):
        least = min(v + np.maximum(each - v, 0.0).mean() / share for v in each)
        assert found == pytest.approx(least, rel=1e-9)
    costs[3, 1] = np.nan
    assert np.isfinite(tail_mean(costs, share)).tolist() == [True, False, True]


def test_a_plan_by_its_worst_particles_costs_less_where_the_model_is_bad_and_more_on_average():
    info, x0 = MotorPole().info, np.array([0.3, 0.0])
    model, common = Gains([0.3, 1.0, 1.0, 1.0, 1.0]), {"rollouts": 2000, "iterations": 10, "horizon": 6}
    average, careful = (
        ParticlePlanner(info, SearchSettings(risk=risk, **common), 5, 0).plan(model, x0, np.zeros(1)).copy()
        for risk in (1.0, 0.2)
    )
    particles = {risk: Particles(info.cost, info.dt, 6, "ts_infinity", 5, 1, risk) for risk in (1.0, 0.2)}
    for each in particles.values():
        each.draw(np.random.default_rng(0))

    def cost(U, risk):
        return particles[risk].costs(model, x0, U[None], np.zeros(1), info.cost.parameters(6))[0]

    assert cost(careful, 0.2) < 0.98 * cost(average, 0.2)
    assert cost(careful, 1.0) > 1.005 * cost(average, 1.0)


def test_a_model_without_a_fit_says_so():
    model = EnsembleModel(MotorPole().info, pets.Settings(**QUICK), 0)
    with pytest.raises(DataError, match="nothing was fitted"):
        model.change(np.zeros((2, 1, 2)), np.zeros((2, 1, 1)))


@pytest.mark.parametrize("propagation", ["ts1", "ts_infinity"])
def test_a_short_run_swings_a_strong_pole_up(propagation):
    changes = {"updates": 600, "hidden": 16, "rollouts": 80, "iterations": 2, "networks": 3, "horizon": 15}
    learn = learner("pets", {**changes, "propagation": propagation})
    episodes = list(learn(MotorPole(), 10, 3))
    assert [episode.acted for episode in episodes] == ["random", "mpc", "mpc"]
    assert episodes[-1].reward > 3.0 * episodes[0].reward


def test_a_file_of_other_settings_is_not_taken(tmp_path):
    arguments = "pets", "cartpole_swingup", [10], 1, tmp_path
    first = run_experiment(*arguments, settings=QUICK)
    assert first["settings"] == QUICK
    assert run_experiment(*arguments, settings=QUICK) == first
    with pytest.raises(DataError, match="another experiment"):
        run_experiment(*arguments)


def test_the_command_takes_settings_however_often_they_are_given(tmp_path):
    file = tmp_path / "result.json"
    command = ["learn", "--method", "pets", "--task", "cartpole_swingup", "--episodes", "1", "--quiet"]
    assert main([*command, "--json", str(file), "--set", "networks=2", "--set", "members=resampled"]) == 1
    assert json.loads(file.read_text())["settings"] == {"networks": 2, "members": "resampled"}


@pytest.mark.parametrize(
    "name, changes, said",
    [
        ("pets", {"network": 3}, "did you mean 'networks'"),
        ("pets", {"networks": 0}, "must lie in"),
        ("pets", {"horizon": 1}, "'horizon' must be 0, or at least 2"),
        ("pets", {"propagation": "ts2"}, "did you mean 'ts1'"),
        ("online", {"networks": 3}, "has no settings"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(name, changes, said):
    with pytest.raises(ConfigurationError, match=said):
        learner(name, changes)
