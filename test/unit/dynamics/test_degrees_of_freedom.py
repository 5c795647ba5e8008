"""The noise's degrees of freedom, and the share of a right model's NIS below its 95 % bound."""

import numpy as np
import pytest
from scipy.stats import f as f_distribution

from mbrl_ros.config.sections.dynamics import DynamicsSettings
from mbrl_ros.data import store
from mbrl_ros.dynamics import RegressionPosterior, build_dynamics
from mbrl_ros.dynamics.checkpoint import KIND, read_model
from mbrl_ros.types import Transition
from support.posteriors import KINDS
from support.robots import planar_robot

DT = 0.005


def after_innovations(kind, weights, g, outputs=2, noise_count=10.0, seed=0):
    posterior = kind(np.full(2, 1e9), np.full(outputs, 0.1), noise_count=noise_count, noise_forgetting=g)
    rng = np.random.default_rng(seed)
    for weight in weights:
        posterior.predict(np.array([0.0, 1.0]), 0.1 * rng.standard_normal(outputs))
        posterior.add_innovation(weight)
    return posterior


@pytest.mark.parametrize("kind", KINDS)
def test_the_degrees_of_freedom_are_those_of_the_weights(kind):
    assert after_innovations(kind, [], 0.9).noise_dof == pytest.approx(10.0)
    for g in (0.5, 0.9, 0.98):
        assert after_innovations(kind, [1.0] * 1500, g).noise_dof == pytest.approx((1.0 + g) / (1.0 - g), rel=1e-9)
    weights, g = [0.2, 1.0, 0.5, 0.01, 1.0], 0.9
    kept = np.array([g ** sum(weights[i + 1 :]) for i in range(5)]) * weights  # what is left of each
    prior = g ** sum(weights)
    expected = (kept.sum() + 10.0 * prior) ** 2 / ((kept**2).sum() + 10.0 * prior**2)
    assert after_innovations(kind, weights, g).noise_dof == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("g", [0.9, 0.98])
def test_the_variance_of_the_noise_estimate_is_that_of_so_many_degrees_of_freedom(g):
    """Var(s^2) = 2 sigma^4 / nu (Satterthwaite); 1,200 estimates tell it to 4 %."""
    runs = [after_innovations(RegressionPosterior, [1.0] * 300, g, 30, seed=seed) for seed in range(40)]
    seen = np.concatenate([np.diag(run.Sigma) for run in runs]) / 0.01
    assert seen.var() == pytest.approx(2.0 / runs[0].noise_dof, rel=0.15)


def moved(rng, n, ticks, slope, offset, noise):
    """Transitions of qd' = qd + slope [q; qd; u] + offset + white noise, at random states and commands."""
    for k in range(ticks):
        x, u = rng.standard_normal(2 * n), rng.standard_normal(n)
        change = slope @ np.concatenate([x, u]) + offset + noise * rng.standard_normal(n)
        yield Transition(k * DT, x, u, np.concatenate([x[:n] + DT * (x[n:] + 0.5 * change), x[n:] + change]))


@pytest.mark.slow(but=7)
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("estimator", ["refit", "output_error", "known"])
def test_a_right_model_shows_94_to_96_percent_of_its_nis_below_the_bound(estimator, n, seed):
    """The noise is white and the arm linear; 5,700 ticks, whose share has a standard deviation of 0.3 %."""
    rng = np.random.default_rng(seed)
    dynamics = build_dynamics(planar_robot(n), DT, DynamicsSettings(estimator=estimator, noise=0.02), {})
    slope = np.hstack([0.01 * rng.standard_normal((n, 2 * n)), 0.05 * rng.standard_normal((n, n))])
    offset = 0.05 * rng.standard_normal(n)
    if estimator != "refit":  # output_error learns the offset only, known nothing
        slope = dynamics.prior.jacobian.copy()
    if estimator == "known":
        offset[:] = 0.0
    inside, nis, counts = [], [], []
    for transition in moved(rng, n, 6000, slope, offset, 0.02):
        dynamics.fit(transition.x, transition.u)
        counts.append(dynamics.posterior.count)
        innovation = dynamics.update(transition)
        inside.append(innovation.nis <= innovation.bound)
        nis.append(innovation.nis)
    share = np.mean(inside[300:])
    assert 0.94 <= share <= 0.96
    if n == 7:  # with the sum of the weights for degrees of freedom the bound is too wide
        count = np.array(counts[300:])
        bound = count * n / (count - n + 1) * f_distribution.ppf(0.95, n, count - n + 1)
        assert np.mean(nis[300:] <= bound) > 0.965


def test_the_bound_is_hotellings_at_any_degrees_of_freedom():
    n = 7
    dynamics = build_dynamics(planar_robot(n), DT, DynamicsSettings(), {})
    for k, transition in enumerate(moved(np.random.default_rng(0), n, 300, np.zeros((n, 3 * n)), np.zeros(n), 0.015)):
        dynamics.fit(transition.x, transition.u)
        dof = dynamics.posterior.noise_dof
        bound = dynamics.update(transition).bound
        exact = dof * n / (dof - n + 1) * f_distribution.ppf(0.95, n, dof - n + 1)
        assert bound == pytest.approx(exact, rel=2e-3), k
    assert dof > 95.0


def test_a_model_written_without_the_squares_is_read_with_as_many_degrees_of_freedom_as_it_had(tmp_path):
    robot = planar_robot()
    dynamics = build_dynamics(robot, DT, DynamicsSettings(), {})
    for transition in moved(np.random.default_rng(0), 2, 50, np.zeros((2, 6)), np.zeros(2), 0.015):
        dynamics.update(transition)
    evidence = dynamics.evidence()
    del evidence["squares"]
    store.save(tmp_path / "model.npz", KIND, store.Owner(robot.joints, robot.interface, DT), evidence)
    dynamics.restore(read_model(tmp_path / "model.npz", dynamics, robot))
    assert dynamics.posterior.noise_dof == pytest.approx(float(evidence["count"]))
