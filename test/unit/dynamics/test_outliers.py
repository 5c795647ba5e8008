"""Heavy tails move the model little, a change moves it at once, and a right model stays calibrated."""

import numpy as np
import pytest

from mbrl_ros.dynamics.compiled_posterior import make_posterior
from mbrl_ros.dynamics.outliers import ONE_DIRECTION, TailWeights, noise_bias
from mbrl_ros.dynamics.posterior import RegressionPosterior

NU, BOUND = 4.0, 10.0


def direction(angle):
    return np.array([np.cos(angle), np.sin(angle)])


def test_inside_the_bound_every_sample_weighs_one_and_beyond_it_as_students_t():
    tails = TailWeights(2, NU)
    assert tails.weight(BOUND, BOUND, direction(0.0), 0.4) == 1.0
    assert tails.weight(100.0, BOUND, direction(0.0), 0.4) == pytest.approx((NU + BOUND) / (NU + 100.0))
    assert TailWeights(2, 0.0).weight(1e6, BOUND, direction(0.0), 0.4) == 1.0


def test_where_innovations_are_large_anyway_none_is_an_outlier():
    tails = TailWeights(2, NU)
    assert tails.weight(60.0, BOUND, direction(0.0), 7.0) == 1.0
    assert tails.weight(200.0, BOUND, direction(np.pi / 2.0), 7.0) == pytest.approx((NU + 70.0) / (NU + 200.0))


@pytest.mark.parametrize(
    "angle, believed", [(0.0, True), (np.arccos(ONE_DIRECTION) - 0.01, True), (1.2, False), (2.0, False)]
)
def test_a_second_surprise_in_the_same_direction_is_a_change(angle, believed):
    tails = TailWeights(2, NU)
    assert tails.weight(100.0, BOUND, direction(0.0), 0.4) < 0.25
    w = tails.weight(100.0, BOUND, 3.0 * direction(angle), 2.0)
    assert w == (1.0 if believed else pytest.approx((NU + 20.0) / (NU + 100.0)))


def test_the_way_back_of_a_wrong_velocity_weighs_as_little_as_the_way_there():
    tails = TailWeights(2, NU)
    there = tails.weight(100.0, BOUND, direction(0.0), 0.4)
    assert tails.weight(100.0, BOUND, -direction(0.1), 3.0) == there
    tails.reset()
    assert tails.weight(100.0, BOUND, -direction(0.1), 3.0) > there


@pytest.mark.parametrize("n", [1, 3, 7])
def test_the_bias_of_the_noise_is_that_of_gaussian_samples(n):
    from scipy.special import chdtri

    rng, bound = np.random.default_rng(n), float(chdtri(n, 0.05))
    nis = (rng.normal(size=(400_000, n)) ** 2).sum(axis=1)
    w = np.where(nis <= bound, 1.0, (NU + bound) / (NU + nis))
    assert noise_bias(n, NU) == pytest.approx((w * nis).mean() / (n * w.mean()), abs=6e-3)
    assert 0.9 < noise_bias(n, NU) < 1.0 == noise_bias(n, 0.0)


@pytest.mark.parametrize("kind", [RegressionPosterior, make_posterior])
def test_the_noise_is_divided_by_its_bias_and_the_whitened_error_is_the_nis(kind):
    rng = np.random.default_rng(0)
    plain, biased = (kind(np.ones(4), np.ones(2), noise_bias=b) for b in (1.0, 0.8))
    for _ in range(50):
        regressors, y = np.append(rng.normal(size=3), 1.0), rng.normal(size=2)
        for posterior in (plain, biased):
            nis = posterior.predict(regressors, y)
            assert posterior.whitened @ posterior.whitened == pytest.approx(nis, rel=1e-12)
            covariance = posterior.covariance()
            assert nis == pytest.approx(posterior.error @ np.linalg.solve(covariance, posterior.error), rel=1e-9)
            posterior.add_innovation(0.7)
    started = 10.0 * 0.99 ** (0.7 * 50)  # what is left of the ten observations of the prior, all of variance 1
    scatter = plain._scatter - started * np.eye(2)
    np.testing.assert_allclose(biased._scatter - started * np.eye(2), scatter / 0.8, rtol=1e-9)


@pytest.mark.parametrize("kind", [RegressionPosterior, make_posterior])
@pytest.mark.parametrize("turned", [1e4, 1e7])
def test_a_joint_that_has_turned_far_is_learned_as_well_as_one_near_zero(kind, turned):
    """The same samples about zero and about `turned` leave the same coefficients; about zero alone they do not."""
    fits = []
    for offset in (0.0, turned):
        rng, posterior = np.random.default_rng(3), kind(np.full(4, 1e-3), np.full(2, 0.01))
        truth = rng.normal(size=(3, 2))
        posterior.condition(np.array([offset, 0.0, 0.0]))
        for _ in range(400):
            x = 0.01 * rng.normal(size=3)
            y = x @ truth + 1e-3 * rng.normal(size=2)
            regressors = np.append(x, 1.0)
            regressors[0] += offset
            posterior.predict(regressors, y)
            posterior.add(regressors, y, 0.99)
            posterior.add_innovation()
            posterior.condition(regressors[:-1])
        fits.append(posterior.W.copy())
    np.testing.assert_allclose(fits[1], fits[0], rtol=1e-6 * turned / 1e4, atol=1e-6 * turned / 1e4)
    assert np.abs(fits[0][:-1] - truth).max() < 0.25


@pytest.mark.parametrize("kind", [RegressionPosterior, make_posterior])
def test_moving_the_origin_changes_the_evidence_by_rounding_only(kind):
    rng, posterior = np.random.default_rng(4), kind(np.full(4, 1e-2), np.full(2, 0.1))
    reference = RegressionPosterior(np.full(4, 1e-2), np.full(2, 0.1))
    x = np.zeros(3)
    for k in range(200):
        x = x + rng.normal(size=3)
        regressors, y, change = np.append(x, 1.0), rng.normal(size=2), 0.01 * rng.normal(size=(2, 2))
        posterior.add(regressors, y, 0.98, 0.5)
        reference.S[:] = 0.98 * reference.S + 0.5 * np.outer(regressors, regressors)
        reference.C[:] = 0.98 * reference.C + 0.5 * np.outer(regressors, y)
        if k % 20 == 0:
            posterior.rebase(slice(1, 3), change)
            reference.C[:] -= reference.S[:, 1:3] @ change.T
        c = x
        T = np.eye(4)
        T[:3, 3] = -c
        W = np.linalg.solve(T @ reference.S @ T.T + 1e-2 * np.eye(4), T @ reference.C)
        np.testing.assert_allclose(posterior.condition(c), W, rtol=1e-6, atol=1e-8)
    assert np.abs(posterior.origin).max() > 0.0
    again = kind(np.full(4, 1e-2), np.full(2, 0.1))
    again.restore(posterior.evidence())
    np.testing.assert_array_equal(again.condition(c), posterior.condition(c))
