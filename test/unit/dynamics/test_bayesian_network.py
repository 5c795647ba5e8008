"""Posteriors over networks: the bound's gradient, exact linear posterior, coverage, ignorance, repeats."""

import math

import numpy as np
import pytest

from mbrl_ros.dynamics.bayesian_network import POSTERIORS, NetworkPosterior, PosteriorSettings, fit
from mbrl_ros.dynamics.calibration import LARGEST_SPREAD_FACTOR, spread_factors
from mbrl_ros.dynamics.gaussian_ensemble import EnsembleSettings
from mbrl_ros.dynamics.gaussian_ensemble import fit as fit_ensemble
from mbrl_ros.dynamics.gaussian_networks import NetworkShape, losses
from mbrl_ros.dynamics.last_layer import regress
from mbrl_ros.dynamics.variational import Noise, bound, divergence, groups, noise_for
from mbrl_ros.exceptions import ConfigurationError, DataError

SHAPE = NetworkShape(3, 4, 2, 2.0 * math.log(0.01), 2.0 * math.log(2.0))
QUICK = {"hidden": 16, "updates": 1500, "variational_updates": 4000}
NOISE, SAMPLES = 0.1, 200


def rows(rng, N, low=-1.0, high=1.0):
    """Rows z (N, 1), d (N, 1) of sin 3x with noise."""
    x = rng.uniform(low, high, (N, 1))
    return x, np.sin(3.0 * x) + NOISE * rng.standard_normal((N, 1))


@pytest.fixture(scope="module", params=POSTERIORS)
def posterior(request):
    z, d = rows(np.random.default_rng(0), 200)
    return fit(z, d, PosteriorSettings(posterior=request.param, **QUICK), 1)


def parameters(rng):
    mu = SHAPE.initial(1, rng)[0] + 0.3 * rng.standard_normal(SHAPE.size)
    return mu, rng.normal(-2.0, 0.5, SHAPE.size)


def central_difference(value, at, step=1e-6):
    """Return the gradient of value(at) by central differences."""
    found = np.empty_like(at)
    for i in range(len(at)):
        ahead, behind = at.copy(), at.copy()
        ahead[i] += step
        behind[i] -= step
        found[i] = (value(ahead) - value(behind)) / (2.0 * step)
    return found


def test_the_gradient_of_the_bound_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    mu, rho = parameters(rng)
    z, d, noise, N = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), noise_for(SHAPE, 5, rng), 7
    group, unused = groups(SHAPE), np.empty((2, SHAPE.size))

    def value(mu, rho):
        return bound(SHAPE, mu, rho, z, d, noise, *unused) + divergence(group, mu, rho, *unused) / N

    found, prior = np.empty((2, SHAPE.size)), np.empty((2, SHAPE.size))
    bound(SHAPE, mu, rho, z, d, noise, *found)
    divergence(group, mu, rho, *prior)
    found += prior / N
    assert found[0] == pytest.approx(central_difference(lambda at: value(at, rho), mu), rel=1e-5, abs=1e-6)
    assert found[1] == pytest.approx(central_difference(lambda at: value(mu, at), rho), rel=1e-5, abs=1e-6)


def test_sampled_preactivations_have_the_expected_loss_of_sampled_weights():
    rng = np.random.default_rng(0)
    mu, rho = parameters(rng)
    z, d = rng.standard_normal((1, 3)), rng.standard_normal((1, 2))
    unused, N = np.empty((2, SHAPE.size)), 40_000
    local = bound(SHAPE, mu, rho, np.repeat(z, N, 0), np.repeat(d, N, 0), noise_for(SHAPE, N, rng), *unused)
    theta = mu + np.exp(rho) * rng.standard_normal((N, SHAPE.size))
    whole = losses(SHAPE, theta, np.broadcast_to(z, (N, 1, 3)), np.broadcast_to(d, (N, 1, 2)))
    assert local == pytest.approx(whole.mean(), abs=4.0 * whole.std() / math.sqrt(N) * math.sqrt(2.0))


def test_a_posterior_without_width_is_a_network():
    rng = np.random.default_rng(0)
    mu, z, d = parameters(rng)[0], rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    noise = Noise(*(np.ones((6, size)) for size in (4, 4, 4)))
    found = bound(SHAPE, mu, np.full(SHAPE.size, -30.0), z, d, noise, *np.empty((2, SHAPE.size)))
    assert found == pytest.approx(losses(SHAPE, mu[None], z[None], d[None]).mean(), rel=1e-9)


def test_every_parameter_is_in_the_group_of_the_unit_that_it_leaves():
    found = groups(SHAPE)
    parts = {name: part[0] for name, part in SHAPE.views(found[None]).items()}
    assert len(np.unique(found)) == found.max() + 1 == 3 + 1 + 4 + 1 + 2 * 4 + 2 * 1 + 3
    assert (parts["W1"] == parts["W1"][:, :1]).all() and len(np.unique(parts["W1"])) == 3
    assert (parts["W3"][:, 0] == parts["W3"][:, 1]).all() and (parts["W3"][:, 1] != parts["W3"][:, 2]).all()


def test_the_last_layer_has_the_exact_posterior_at_the_largest_evidence():
    rng = np.random.default_rng(0)
    phi, w, variance = rng.standard_normal((40, 5)), rng.normal(0.0, 2.0, 5), 0.3
    d = phi @ w + math.sqrt(variance) * rng.standard_normal(40)
    mean, covariance, alpha = regress(phi, d, np.full(40, 1.0 / variance))
    A = alpha * np.eye(5) + phi.T @ phi / variance
    assert covariance == pytest.approx(np.linalg.inv(A))
    assert mean == pytest.approx(np.linalg.solve(A, phi.T @ d / variance))

    def log_evidence(alpha):
        C = variance * np.eye(40) + phi @ phi.T / alpha
        return -0.5 * (np.linalg.slogdet(C)[1] + d @ np.linalg.solve(C, d))

    assert all(log_evidence(alpha) > log_evidence(factor * alpha) for factor in (0.8, 0.95, 1.05, 1.25))


def test_predictive_intervals_hold_their_share_of_held_out_rows(posterior):
    z, d = rows(np.random.default_rng(9), 2000, -0.95, 0.95)
    mean, aleatoric, epistemic = posterior.sample(SAMPLES, np.random.default_rng(2)).moments(z)
    off = np.abs(d - mean) / np.sqrt(aleatoric + epistemic)
    for share, bound_ in ((0.5, 0.674), (0.8, 1.282), (0.95, 1.96)):
        assert (off <= bound_).mean() == pytest.approx(share, abs=0.07)
    assert np.sqrt(aleatoric.mean()) == pytest.approx(NOISE, rel=0.4)


def test_ignorance_grows_away_from_the_data_and_a_variance_alone_does_not_tell_it(posterior):
    """Independent Gaussians of units that saturate tell far less of it than the linear part of a last layer does."""
    inside, outside = np.linspace(-0.9, 0.9, 50)[:, None], np.array([[-4.0], [-3.0], [3.0], [4.0]])
    sampled = posterior.sample(SAMPLES, np.random.default_rng(2))
    near, far = sampled.moments(inside), sampled.moments(outside)
    error = np.abs(far[0] - np.sin(3.0 * outside))
    assert (error > 5.0 * np.sqrt(far[1])).mean() >= 0.5, "by its own variance the network is sure of what is wrong"
    factor = 1.3 if isinstance(posterior, NetworkPosterior) else 5.0
    assert np.sqrt(far[2]).min() > factor * np.sqrt(near[2]).mean(), "the samples disagree there"


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("name", POSTERIORS)
def test_more_data_leave_less_ignorance(name):
    z, d = rows(np.random.default_rng(0), 600)
    at, settings = np.linspace(-0.9, 0.9, 30)[:, None], PosteriorSettings(posterior=name, **QUICK)
    few, many = (
        fit(z[:N], d[:N], settings, 1).sample(SAMPLES, np.random.default_rng(2)).moments(at)[2].mean()
        for N in (40, 600)
    )
    assert many < 0.3 * few


@pytest.mark.parametrize("name", POSTERIORS)
def test_a_seed_repeats_to_the_last_bit_and_another_differs(name):
    (z, d), settings = (
        rows(np.random.default_rng(0), 50),
        PosteriorSettings(posterior=name, updates=50, variational_updates=50),
    )
    first, again, other = (
        fit(z, d, settings, seed).sample(3, np.random.default_rng(0)).predict(z)[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("name", POSTERIORS)
def test_one_row_and_outputs_that_never_change_are_no_error(name):
    settings = PosteriorSettings(posterior=name, updates=10, variational_updates=10, hidden=4)
    for N in (1, 2, 30):
        sampled = fit(np.zeros((N, 2)), np.zeros((N, 1)), settings, 0).sample(3, np.random.default_rng(0))
        mean, std = sampled.predict(np.ones((3, 2)))
        assert np.isfinite(mean).all() and (std > 0.0).all()


def test_what_cannot_be_fitted_is_an_error():
    with pytest.raises(DataError, match="rows of finite numbers"):
        fit(np.zeros((0, 2)), np.zeros((0, 1)), PosteriorSettings(), 0)
    with pytest.raises(ConfigurationError, match="did you mean 'last_layer'"):
        PosteriorSettings(posterior="last_layr")


def test_the_calibration_finds_how_far_a_spread_is_off_and_leaves_the_noise():
    rng, N = np.random.default_rng(0), 20_000
    aleatoric, epistemic = np.full((N, 2), 0.04), np.full((N, 2), 0.09) * rng.uniform(0.5, 2.0, (N, 1))
    truth = np.array([2.0, 0.5])
    d = rng.standard_normal((N, 2)) * np.sqrt(aleatoric + truth**2 * epistemic)
    assert spread_factors(d, np.zeros((N, 2)), aleatoric, epistemic) == pytest.approx(truth, rel=0.05)


def test_a_calibration_has_bounds_and_changes_nothing_where_the_members_agree():
    d, none = np.full((10, 1), 100.0), np.zeros((10, 1))
    assert spread_factors(d, none, none + 1.0, none) == 1.0
    assert spread_factors(d, none, none + 1.0, none + 1e-3) == pytest.approx(LARGEST_SPREAD_FACTOR, rel=1e-3)
    assert spread_factors(none, none, none + 1.0, none + 1.0) == pytest.approx(1.0 / LARGEST_SPREAD_FACTOR, rel=1e-3)


@pytest.mark.parametrize("members", ["same", "resampled"])
def test_calibrated_intervals_of_an_ensemble_hold_beside_its_data(members):
    """The factor comes from one half of rows that lie partly beside the data, and is judged by the other half."""
    z, d = rows(np.random.default_rng(0), 100)
    ensemble = fit_ensemble(z, d, EnsembleSettings(members=members, updates=1500, hidden=16), 1)
    z, d = rows(np.random.default_rng(9), 4000, -1.3, 1.3)
    mean, aleatoric, epistemic = ensemble.moments(z)
    c = spread_factors(*(part[::2] for part in (d, mean, aleatoric, epistemic)))

    def covered(factor):
        inside = np.abs(d - mean) <= 1.96 * np.sqrt(aleatoric + factor**2 * epistemic)
        return inside[1::2].mean()

    assert abs(covered(c) - 0.95) < max(0.02, abs(covered(1.0) - 0.95))
    assert covered(c) == pytest.approx(0.95, abs=0.05)
