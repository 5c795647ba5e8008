"""Predictions over several steps: the intervals hold as much as they claim, and by the formula that is stated."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from mbrl_ros.dynamics.compiled_posterior import CompiledPosterior, library
from mbrl_ros.dynamics.posterior import RegressionPosterior
from mbrl_ros.evaluation.details import detailed
from mbrl_ros.evaluation.horizons import (
    FACTOR_RATE,
    INTERVAL_LEVEL,
    INTERVAL_LEVELS,
    LARGEST_FACTOR,
    LongPredictions,
    learned_factor,
)
from mbrl_ros.evaluation.scores import evaluate
from support.made_recordings import learner, made_recording


def predicted(recording, steps=(1, 10, 30)):
    dynamics = learner(recording)
    long = LongPredictions(recording, dynamics, steps)
    evaluate(recording, dynamics, long)
    return {horizon.steps: horizon.after(1.0) for horizon in long.horizons()}


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("seed", [0, 1])
def test_intervals_of_a_right_model_hold_what_they_claim(seed):
    """3,000 ticks; errors over 30 steps overlap, so that about 100 of them are independent: 4 % are two sigma."""
    for steps, horizon in predicted(made_recording(T=3000, seed=seed)).items():
        for learned in (True, False):
            allowed = 0.02 if steps == 1 else 0.04
            q, qd = horizon.coverage(learned=learned)
            assert abs(qd - INTERVAL_LEVEL) < allowed and abs(q - INTERVAL_LEVEL) < allowed, (steps, learned, q, qd)


@pytest.mark.slow
def test_the_noise_alone_would_hold_far_less_over_many_steps():
    recording = made_recording(T=2500)
    horizon = predicted(recording)[30]
    dt, n = recording.period, 2
    A = np.eye(4)  # of the true arm
    A[n:, :n], A[n:, n:] = -4.0 * dt * np.eye(n), (1.0 - dt) * np.eye(n)
    A[:n] += 0.5 * dt * (A[n:] + np.hstack([np.zeros((n, n)), np.eye(n)]))
    E, P = np.vstack([0.5 * dt * np.eye(n), np.eye(n)]), np.zeros((4, 4))
    for _ in range(30):
        P = A @ P @ A.T + 0.01**2 * E @ E.T
    alone = np.abs(horizon.error[:, n:]) <= 1.96 * np.sqrt(np.diag(P)[n:])
    assert alone.mean() < 0.85 and horizon.coverage(learned=False)[1] > 0.91


def test_the_standard_deviation_is_that_of_drawn_models():
    """Against the formula's first order: 4,000 models are drawn from the posterior and rolled with drawn noise."""
    recording, steps, drawn = made_recording(T=400, noise=0.005), 10, 4000
    dynamics, rng, k, n = learner(recording), np.random.default_rng(5), 350, 2
    long = LongPredictions(recording, dynamics, (steps,))
    for transition in list(recording.transitions())[:k]:
        dynamics.fit(transition.x, transition.u)
        dynamics.update(transition)
    X, U = np.hstack([recording.q, recording.qd]), recording.u
    model = dynamics.fit(X[k], U[k])
    long(k, model)
    whiten, R = dynamics.posterior.inverse_factors(), np.linalg.cholesky(dynamics.posterior.Sigma)
    mean, ends = X[k], np.tile(X[k], (drawn, 1))
    wrong = np.einsum("ida,mdj,ij->mai", whiten, rng.standard_normal((drawn, whiten.shape[1], n)), R)
    for i in range(steps):
        phi = np.array([dynamics.regressors(x, U[k + i]) for x in ends])
        phi[:, :-1] -= dynamics.posterior.center
        e = np.einsum("ma,mai->mi", phi, wrong) + rng.standard_normal((drawn, n)) @ R.T
        ends = np.array([model.predict(x, U[k + i]) for x in ends]) + e @ np.hstack([0.005 * np.eye(n), np.eye(n)])
        mean = model.predict(mean, U[k + i])
    (horizon,) = long.horizons()
    np.testing.assert_allclose((ends - mean).std(axis=0), horizon.std[0], rtol=0.06)
    np.testing.assert_allclose(horizon.error[0], X[k + steps] - mean, atol=1e-12)


@pytest.mark.parametrize("kind", [RegressionPosterior, CompiledPosterior])
def test_the_inverse_factor_gives_the_inflation(kind):
    if kind is CompiledPosterior and library() is None:
        pytest.skip("no compiler")
    rng = np.random.default_rng(0)
    posterior = kind(rng.uniform(0.5, 2.0, (2, 5)), np.full(2, 0.1))
    for _ in range(30):
        posterior.add(np.append(rng.standard_normal(4), 1.0), rng.standard_normal(2), 0.98)
    posterior.condition(rng.standard_normal(4))
    phi = np.append(rng.standard_normal(4), 1.0)
    posterior.predict(phi, np.zeros(2))
    centered = np.append(phi[:-1] - posterior.center, 1.0)
    for factor, inflation in zip(posterior.inverse_factors(), posterior.inflation, strict=True):
        assert 1.0 + np.square(factor @ centered).sum() == pytest.approx(inflation, rel=1e-12)


def test_nothing_is_predicted_across_a_gap():
    recording = made_recording(T=400)
    keep = np.ones(400, dtype=bool)
    keep[200:210] = False
    cut = dataclasses.replace(
        recording,
        stamps=recording.stamps[keep],
        q=recording.q[keep],
        qd=recording.qd[keep],
        u=recording.u[keep],
    )
    horizons = predicted(cut)
    for steps, horizon in horizons.items():
        before, after = 2.0 - (steps + 1) * 0.01, 2.1
        assert not ((horizon.stamps > before + 0.005) & (horizon.stamps < after - 0.005)).any()
        assert len(horizon.stamps) == 390 - 100 - 2 * steps


def ratios(values):
    """|error| over the half width of each level, of one state, for errors `values` over a right standard deviation."""
    return np.abs(values)[:, None, None] / norm.ppf(0.5 + 0.5 * np.array(INTERVAL_LEVELS))


@pytest.mark.parametrize("h", [1, 30])
@pytest.mark.parametrize("width", [0.4, 1.0, 3.0])
def test_the_learned_factor_makes_intervals_of_any_width_hold_their_share(h, width):
    rng = np.random.default_rng(3)
    ratio = ratios(rng.standard_t(3, 6000) / width)
    inside = (ratio <= learned_factor(ratio, h))[500:].mean(axis=0)[0]
    # the bound of the docstring: log(c_max / c_min) / (FACTOR_RATE T), with a range of e^2 here
    np.testing.assert_allclose(inside, INTERVAL_LEVELS, atol=2.0 / (FACTOR_RATE * 5500) + 0.01)


def test_the_learned_factor_knows_no_outcome_before_it_happened():
    rng = np.random.default_rng(4)
    ratio, h = ratios(rng.standard_normal(300)), 10
    other = ratio.copy()
    other[150:] *= 100.0
    factor, changed = learned_factor(ratio, h), learned_factor(other, h)
    np.testing.assert_array_equal(factor[:160], changed[:160])
    assert (changed[161] > factor[161]).any()
    assert learned_factor(np.full((5000, 1, len(INTERVAL_LEVELS)), 1e9), 1).max() == LARGEST_FACTOR


@pytest.mark.slow
def test_heavy_tails_are_seen_and_the_interval_still_holds_its_share():
    details = {
        tail: detailed(recording, learner(recording), np.ones(2))
        for tail in (True, False)
        for recording in [made_recording(T=2000, seed=2, tail=tail)]
    }
    assert details[True].kurtosis.min() > 5.0 and details[False].kurtosis.max() < 4.0
    for found in details.values():
        assert abs(found.horizons[0].coverage()[1] - INTERVAL_LEVEL) < 0.015
        assert np.abs(found.autocorrelation).max() < 0.1
