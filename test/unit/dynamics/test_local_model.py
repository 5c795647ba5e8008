"""The compiled local model is the readable one, result by result."""

import numpy as np
import pytest

from mbrl_ros.dynamics.compiled_model import CompiledLocalModel, library, make_local_model
from mbrl_ros.dynamics.compiled_posterior import CompiledPosterior
from mbrl_ros.dynamics.local_model import LocalModel, Timing
from mbrl_ros.dynamics.posterior import RegressionPosterior
from mbrl_ros.dynamics.priors.global_linear import GlobalLinearPrior
from mbrl_ros.dynamics.state_equations import StateEquations

DT = 0.01


def both(n, m, servo, offset_only, seed):
    """Return the readable and the compiled model of the same posterior with something learned, and a generator."""
    if library() is None:
        pytest.skip("there is no C++ compiler")
    random = np.random.default_rng(seed)
    size = 1 if offset_only else 3 * n + 1
    posterior = RegressionPosterior(np.full(size, 0.1), np.full(n, 0.2))
    for _ in range(20):
        posterior.predict(random.normal(size=size), random.normal(size=n))
        posterior.add(np.append(random.normal(size=size - 1), 1.0), random.normal(size=n), 0.99)
        posterior.add_innovation()
    posterior.condition(random.normal(size=size - 1))
    equations, scale = StateEquations(n, m, DT), 1.0 + random.random(n)
    arguments = equations, posterior, a_prior(n, random), scale, servo, offset_only
    return LocalModel(*arguments), CompiledLocalModel(library(), *arguments), equations, random


def a_prior(n, random):
    """Return a linear prior of n joints."""
    return GlobalLinearPrior(random.normal(size=(n, 3 * n)), random.normal(size=n), np.ones(3 * n + 1))


@pytest.mark.parametrize(
    ("n", "m", "servo", "offset_only", "stages", "linear"),
    [
        (7, 0, None, False, 1, True),
        (7, 4, None, False, 30, False),
        (3, 2, slice(3, 6), False, 1, True),
        (2, 0, slice(0, 2), False, 5, False),
        (1, 2, None, True, 1, True),
        (4, 0, slice(4, 8), True, 3, False),
    ],
)
def test_the_compiled_model_is_the_readable_one(n, m, servo, offset_only, stages, linear):
    readable, compiled, equations, random = both(n, m, servo, offset_only, seed=n)
    for _ in range(3):
        Z = random.normal(size=(stages, 3 * n))
        now = Z[0] if linear else random.normal(size=3 * n)
        arguments = random.normal(size=(stages, n)), random.normal(size=(stages, n, 3 * n)), Z, now
        G = random.normal(size=(m, n))
        wanted, found = (model.combine(*arguments, G, linear=linear) for model in (readable, compiled))
        for name in ("F", "f", "Sigma"):
            np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(compiled.gain, readable.gain, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(compiled.expected, readable.expected, rtol=1e-12, atol=1e-12)
        for _ in range(30):  # another rule of integration
            equations.add(np.ones(2 * n), np.concatenate([np.ones(n) + DT * np.arange(n), np.arange(n)]))


def test_the_results_of_a_tick_stay_as_they_are_in_the_next_one():
    _, compiled, _, random = both(2, 0, None, False, seed=0)
    Z, J = random.normal(size=(1, 6)), random.normal(size=(1, 2, 6))
    first = compiled.combine(np.ones((1, 2)), J, Z, Z[0], np.zeros((0, 2)), linear=True)
    kept = [array.copy() for array in (first.F, first.f, first.Sigma, compiled.gain, compiled.expected)]
    gain, expected = compiled.gain, compiled.expected
    compiled.combine(np.zeros((1, 2)), 2.0 * J, -Z, -Z[0], np.zeros((0, 2)), linear=True)
    for before, after in zip(kept, (first.F, first.f, first.Sigma, gain, expected), strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("n", [1, 7])
def test_the_noise_of_an_uncertain_time_is_the_readable_one(n):
    readable, compiled, _, random = both(n, 0, None, False, seed=n)
    for _ in range(5):
        arguments = random.normal(size=(2, n)), random.normal(size=n), random.normal(size=(n, n)), random.random()
        assert compiled.timing_noise(*arguments) == pytest.approx(readable.timing_noise(*arguments), rel=1e-12)
    assert np.isnan(compiled.timing_noise(np.full((2, n), np.nan), np.zeros(n), np.eye(n), 1.0))
    assert np.isnan(readable.timing_noise(np.full((2, n), np.nan), np.zeros(n), np.eye(n), 1.0))
    for row in range(n):  # of one joint alone, in whichever place
        gain = np.eye(n)
        gain[row, row] = np.nan
        for model in (compiled, readable):
            assert np.isnan(model.timing_noise(np.ones((2, n)), np.zeros(n), gain, 1.0))


def test_what_does_not_compile_is_still_combined(monkeypatch):
    monkeypatch.setattr("mbrl_ros.dynamics.compiled_model.library", lambda: None)
    posterior, prior = RegressionPosterior(np.ones(4), np.ones(1)), a_prior(1, np.random.default_rng(0))
    assert type(make_local_model(StateEquations(1, 0, DT), posterior, prior, np.ones(1), None, False)) is LocalModel


KINDS = [(7, 0, None, False), (3, 2, slice(3, 6), False), (2, 0, slice(0, 2), False), (4, 2, None, True)]


def two_models(n, m, servo, offset_only):
    """Return (model, its posterior), readable and compiled, of the same prior, and a generator."""
    if library() is None:
        pytest.skip("there is no C++ compiler")
    random, size = np.random.default_rng(n), 1 if offset_only else 3 * n + 1
    prior, scale, both = a_prior(n, random), 1.0 + random.random(n), []
    for make, kind in ((LocalModel, RegressionPosterior), (CompiledLocalModel, CompiledPosterior)):
        posterior = kind(np.full(size, 0.1), np.full(n, 0.2))
        arguments = StateEquations(n, m, DT), posterior, prior, scale, servo, offset_only
        both.append((make(*arguments) if make is LocalModel else make(library(), *arguments), posterior))
    return both, prior, random


def assert_near(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("n", "m", "servo", "offset_only"), KINDS)
def test_a_tick_in_compiled_calls_is_the_readable_one(n, m, servo, offset_only):
    ((readable, specified), (compiled, posterior)), prior, random = two_models(n, m, servo, offset_only)
    precision, G = 0.1 + random.random(specified.size), random.normal(size=(m, n))
    for k in range(40):
        if k == 20:  # the prior moves, and many stages are asked for in between
            prior._take(random.normal(size=(n, 3 * n)))
            for model in (readable, compiled):
                model.take_prior()
                Z = np.ones((3, 3 * n))
                model.combine(np.ones((3, n)), np.ones((3, n, 3 * n)), Z, Z[0], G, linear=False)
        x, u, after = random.normal(size=2 * n), random.normal(size=n), random.normal(size=n)
        timing = None if k % 3 == 0 else Timing(random.normal(size=(2, n)), random.normal(size=(n, n)), random.random())
        if k % 3 == 2:
            timing = timing._replace(gain=compiled.gain)
        wanted, found = readable.compare(x, u, after, timing), compiled.compare(x, u, after, timing)
        for one, other in zip(found, wanted, strict=True):
            assert_near(one, other)
        assert found.finite and posterior.inflation == pytest.approx(specified.inflation, rel=1e-9)
        learned = 0.98, 0.1 + random.random(), precision, 10.0 ** random.uniform(-2.0, 1.0), random.random()
        for model in (readable, compiled):
            model.learn(*learned) if k % 4 else model.learn_noise(0.7)
        x, u, kept = random.normal(size=2 * n), random.normal(size=n), k % 5 == 4
        wanted, found = (model.about(x, u, G, kept=kept) for model in (readable, compiled))
        for name in ("F", "f", "Sigma"):
            assert_near(getattr(found, name), getattr(wanted, name))
        assert not compiled.failed
        for name in ("gain", "expected"):
            assert_near(getattr(compiled, name), getattr(readable, name))
        for name in ("S", "C", "W", "center", "precision", "Sigma", "error", "whitened", "noise_dof"):
            assert_near(getattr(posterior, name), getattr(specified, name))
        assert_near(posterior.inverse_factors(), specified.inverse_factors())


@pytest.mark.parametrize("where", ["x", "u", "after", "neighbors"])
def test_what_is_not_finite_is_told(where):
    ((readable, _), (compiled, _)), _, random = two_models(3, 0, None, False)
    values = {"x": np.ones(6), "u": np.ones(3), "after": np.ones(3), "neighbors": np.ones((2, 3))}
    values[where].flat[1] = np.inf
    for model in (readable, compiled):
        timing = Timing(values["neighbors"], np.eye(3), 0.1)
        with np.errstate(invalid="ignore"):
            assert not model.compare(values["x"], values["u"], values["after"], timing).finite


def test_evidence_of_no_use_is_forgotten():
    both, _, random = two_models(2, 0, None, False)
    found = []
    for model, posterior in both:
        posterior.S[:] = -1e9 * np.eye(7)
        dynamics = model.about(np.ones(4), np.ones(2), np.zeros((0, 2)))
        assert model.failed and not posterior.S.any() and np.isfinite(dynamics.F).all()
        found.append(dynamics.F)
        model.about(np.ones(4), np.ones(2), np.zeros((0, 2)))
        assert not model.failed
    assert_near(*found)
