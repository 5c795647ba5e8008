"""The compiled estimator of the delay is the readable one, intermediate by intermediate."""

import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DelaySettings
from mbrl_ros.dynamics.compiled_delay import NO_FACTOR, CompiledDelayEstimator, library, make_delay_estimator
from mbrl_ros.dynamics.delay_estimation import DelayEstimator

pytestmark = pytest.mark.skipif(library() is None, reason="there is no C++ compiler")
ROUNDING = 1e-9  # of the largest entry


def near(found, wanted, rounding=ROUNDING):
    """Assert that `found` is `wanted` but for rounding."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0.0) <= rounding * max(np.abs(wanted).max(initial=0.0), 1e-12)


def ticks(n, dt, count, *, seed, delay=2, lost=0.0, broken=0.0):
    """Yield stamp, q, qd and command of an arm whose acceleration follows its command `delay` ticks later."""
    random = np.random.default_rng(seed)
    q, qd, sent = random.normal(size=n), np.zeros(n), [np.zeros(n)] * (delay + 1)
    for k in range(count):
        sent.append(np.where(k % 20 < 10, 1.0, -1.0) * random.random(n) + random.normal(size=n))
        if random.random() >= lost:
            noise = 1e-3 * random.normal(size=n)
            measured = np.full(n, np.nan) if random.random() < broken else qd + noise
            yield k * dt + 0.01 * dt * random.random(), q, measured, sent[-1]
        qd = qd + dt * (8.0 * sent[-1 - delay] - 0.5 * qd - q)
        q = q + dt * qd


def assert_same(compiled, readable):
    """Assert that both have seen the same, and estimate the same where there are enough data."""
    compiled._fold()
    readable._fold()
    compiled._complete_moments()
    near(compiled._moments, readable._moments)
    near(compiled._energy, readable._energy)
    assert compiled._count == pytest.approx(readable._count, rel=ROUNDING)
    if readable._count < 2 * readable._size:  # the moments have hardly an inverse
        return
    for mine, theirs in zip(compiled._moments, readable._moments, strict=True):
        found, wanted = (
            estimator._given_state(S / readable._count) for estimator, S in ((compiled, mine), (readable, theirs))
        )
        assert (found is None) == (wanted is None)
        if found is None or wanted is None:
            continue
        for one, other in zip(found, wanted, strict=True):
            near(one, other, 1e-6)
        delays = np.arange(0.0, readable.lags - 1.0, 0.3)
        near(compiled._log_determinants(delays, *found), readable._log_determinants(delays, *wanted), 1e-6)
    found, wanted = compiled.estimate(), readable.estimate()
    assert (found is None) == (wanted is None)
    if found is not None:
        for name in ("ticks", "std", "confidence", "explained"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-6, abs=1e-6), name
        assert found.usable == wanted.usable
        near(compiled._noise, readable._noise, 1e-6)


@pytest.mark.parametrize(
    ("n", "dt", "longest", "lost", "broken"),
    [
        (1, 0.01, 8, 0.0, 0.0),
        (7, 0.005, 8, 0.0, 0.0),
        (3, 0.005, 4, 0.1, 0.0),  # bridged rows
        (2, 0.01, 1, 0.0, 0.05),  # velocities that are not finite
        (3, 0.001, 8, 0.0, 0.0),  # rows of five ticks
        (2, 0.002, 3, 0.2, 0.02),
    ],
)
def test_the_compiled_estimator_is_the_readable_one(n, dt, longest, lost, broken):
    settings = DelaySettings(longest=longest)
    compiled, readable = CompiledDelayEstimator(n, dt, settings), DelayEstimator(n, dt, settings)
    for k, tick in enumerate(ticks(n, dt, 1500, seed=n, lost=lost, broken=broken)):
        for estimator in (compiled, readable):
            estimator.update(*tick)
        if k in (5, 100, 701, 1200):
            assert_same(compiled, readable)
        if k == 900:
            for estimator in (compiled, readable):
                estimator.interrupt()
        if k == 1000:
            for estimator in (compiled, readable):
                estimator.reset()
    assert_same(compiled, readable)
    assert readable.estimate() is not None


@pytest.mark.parametrize("command", [0.0, 1.0])
def test_where_nothing_moves_neither_estimates(command):
    compiled, readable = CompiledDelayEstimator(2, 0.005), DelayEstimator(2, 0.005)
    for k in range(400):
        for estimator in (compiled, readable):
            estimator.update(0.005 * k, np.ones(2), np.zeros(2), np.full(2, command))
    assert_same(compiled, readable)
    assert compiled.estimate() is None and readable.estimate() is None


def test_stamps_that_leap_interrupt_both():
    compiled, readable = CompiledDelayEstimator(2, 0.005), DelayEstimator(2, 0.005)
    leap = 0.0
    for k, (stamp, q, qd, command) in enumerate(ticks(2, 0.005, 800, seed=3)):
        leap += {300: 10.0, 400: -20.0, 500: 0.002}.get(k, 0.0)
        for estimator in (compiled, readable):
            estimator.update(stamp + leap, q, qd, command)
    assert_same(compiled, readable)


def test_what_does_not_compile_still_estimates(monkeypatch):
    monkeypatch.setattr("mbrl_ros.dynamics.compiled_delay.library", lambda: None)
    assert type(make_delay_estimator(2, 0.005)) is DelayEstimator


class _Failing:
    """The compiled functions, of which one finds a matrix without a factor from the given call on."""

    def __init__(self, name, good):
        self._name, self._good = name, good

    def __getattr__(self, name):
        self._good -= name == self._name
        return (lambda *_: NO_FACTOR) if name == self._name and self._good < 0 else getattr(library(), name)


@pytest.mark.parametrize(("name", "good"), [("delay_color", 0), ("delay_color", 2), ("delay_finish", 0)])
def test_where_a_matrix_has_no_factor_the_readable_steps_estimate(name, good):
    compiled, readable = CompiledDelayEstimator(2, 0.005), DelayEstimator(2, 0.005)
    for tick in ticks(2, 0.005, 300, seed=4):
        for estimator in (compiled, readable):
            estimator.update(*tick)
    compiled._functions = _Failing(name, good)
    found, wanted = compiled.estimate(), readable.estimate()
    for field in ("ticks", "std", "confidence", "explained", "usable"):
        assert getattr(found, field) == pytest.approx(getattr(wanted, field), rel=1e-6, abs=1e-6), field
    near(compiled._noise, readable._noise, 1e-6)


def test_an_estimate_in_steps_is_of_the_moments_at_its_beginning():
    given = list(ticks(2, 0.005, 340, seed=5))
    found = []
    for late in (0, 40):
        estimator = CompiledDelayEstimator(2, 0.005)
        for tick in given[:300]:
            estimator.update(*tick)
        steps = estimator.estimating()
        next(steps)
        for tick in given[300 : 300 + late]:
            estimator.update(*tick)
        with pytest.raises(StopIteration) as end:
            while True:
                next(steps)
        found.append(end.value.value)
    assert found[0] == found[1]
