"""Probabilistic networks: their likelihood's gradient, noise against ignorance, calibration, and their rows."""

import math

import numpy as np
import pytest

from mbrl_ros.dynamics.gaussian_ensemble import EnsembleSettings, fit, rows_of
from mbrl_ros.dynamics.gaussian_networks import NetworkShape, forward, gradient, losses
from mbrl_ros.exceptions import ConfigurationError, DataError

SHAPE = NetworkShape(3, 4, 2, 2.0 * math.log(0.01), 2.0 * math.log(2.0))
QUICK = {"updates": 3000, "hidden": 32}


def noise_at(x):
    """Standard deviation of the noise of `noisy` at x."""
    return 0.05 + 0.15 * (x > 0.0)


def noisy(rng, N, low=-1.0, high=1.0):
    """Rows z (N, 1), d (N, 1) of sin 3x with noise that is larger where x > 0."""
    x = rng.uniform(low, high, (N, 1))
    return x, np.sin(3.0 * x) + noise_at(x) * rng.standard_normal((N, 1))


@pytest.fixture(scope="module", params=["same", "resampled"])
def fitted(request):
    z, d = noisy(np.random.default_rng(0), 1000)
    return fit(z, d, EnsembleSettings(members=request.param, **QUICK), 1)


def test_the_gradient_of_the_likelihood_is_that_of_finite_differences():
    rng, step = np.random.default_rng(0), 1e-6
    theta = SHAPE.initial(2, rng) + 0.3 * rng.standard_normal((2, SHAPE.size))
    z, d, found = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 5, 2)), np.empty((2, SHAPE.size))
    gradient(SHAPE, theta, z, d, found)
    for i in range(SHAPE.size):
        ahead, behind = theta.copy(), theta.copy()
        ahead[:, i] += step
        behind[:, i] -= step
        difference = (losses(SHAPE, ahead, z, d) - losses(SHAPE, behind, z, d)).mean(axis=1) / (2.0 * step)
        assert found[:, i] == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_the_variance_keeps_to_its_bounds_whatever_the_parameters():
    rng = np.random.default_rng(0)
    theta, z = 50.0 * rng.standard_normal((3, SHAPE.size)), rng.standard_normal((3, 20, 3))
    _, log_variance, _ = forward(SHAPE, SHAPE.views(theta), z)
    assert SHAPE.low - 1e-9 <= log_variance.min() and log_variance.max() <= SHAPE.high + 1e-9


@pytest.mark.slow(but=1)
def test_a_variance_alone_does_not_tell_ignorance_and_disagreement_does(fitted):
    inside, outside = np.linspace(-0.9, 0.9, 50)[:, None], np.array([[-4.0], [-3.0], [3.0], [4.0]])
    std = fitted.predict(np.concatenate([inside, outside]))[1]
    mean, _, epistemic = fitted.moments(np.concatenate([inside, outside]))
    error = np.abs(mean[50:] - np.sin(3.0 * outside))
    one = std[0, 50:]
    assert (error > 5.0 * one).mean() >= 0.5, "a member is far off and sure of itself"
    assert np.sqrt(epistemic[50:]).min() > 5.0 * np.sqrt(epistemic[:50]).mean(), "the members disagree there"


def test_the_variance_of_the_members_is_the_noise(fitted):
    x = np.array([[-0.8], [-0.5], [0.5], [0.8]])
    _, aleatoric, epistemic = fitted.moments(x)
    assert np.sqrt(aleatoric) == pytest.approx(noise_at(x), rel=0.3)
    assert (epistemic < 0.3 * aleatoric).all()


def test_intervals_of_95_percent_hold_their_share_of_held_out_rows(fitted):
    z, d = noisy(np.random.default_rng(9), 2000, -0.95, 0.95)
    mean, aleatoric, epistemic = fitted.moments(z)
    inside = np.abs(d - mean) <= 1.96 * np.sqrt(aleatoric + epistemic)
    assert 0.90 <= inside.mean() <= 0.99
    for part in (z < 0.0, z > 0.0):
        assert 0.90 <= inside[part].mean() <= 0.99


def test_a_seed_repeats_to_the_last_bit_and_another_differs():
    z, d = noisy(np.random.default_rng(0), 50)
    first, again, other = (fit(z, d, EnsembleSettings(updates=50), seed).predict(z)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_no_member_is_judged_by_rows_it_was_trained_on():
    for members in ("same", "resampled"):
        trained, chosen = rows_of(members, 4, 100, np.random.default_rng(0))
        for rows, weights in zip(trained, chosen, strict=True):
            assert not weights[rows].any() and weights.sum() >= 10
        assert (len({tuple(np.unique(rows)) for rows in trained}) == 1) == (members == "same")


@pytest.mark.parametrize("members", ["same", "resampled"])
def test_one_row_and_outputs_that_never_change_are_no_error(members):
    settings = EnsembleSettings(members=members, updates=10, hidden=4)
    for rows in (1, 2, 30):
        mean, std = fit(np.zeros((rows, 2)), np.zeros((rows, 1)), settings, 0).predict(np.ones((3, 2)))
        assert np.isfinite(mean).all() and (std > 0.0).all()


@pytest.mark.parametrize("z", [np.zeros((0, 2)), np.full((5, 2), np.nan), np.full((5, 2), np.inf)])
def test_rows_that_nothing_can_be_fitted_to_are_an_error(z):
    with pytest.raises(DataError, match="rows of finite numbers"):
        fit(z, np.zeros((len(z), 1)), EnsembleSettings(updates=10), 0)


def test_settings_have_bounds():
    with pytest.raises(ConfigurationError, match="did you mean 'resampled'"):
        EnsembleSettings(members="resample")
