"""Samples whose command acted at an uncertain time: their weight, the noise they leave, and a prior that moves."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.dynamics import RegressionPosterior, build_dynamics
from mbrl_ros.dynamics.compiled_posterior import CompiledPosterior, library
from mbrl_ros.types import Transition
from support.posteriors import KINDS
from support.robots import planar_robot

DT = 0.005


def samples(seed, count, size, outputs, noise=1.0):
    """(regressors (size,), y (outputs,)) of a random linear map with noise."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(size, outputs))
    for _ in range(count):
        phi = np.append(rng.normal(size=size - 1), 1.0)
        yield phi, W.T @ phi + noise * rng.standard_normal(outputs)


# --- the posterior ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_sigma_stays_when_every_sample_weighs_a_thousandth(kind):
    """The innovations are as large as in the noise prior; only their weight is small, tick after tick."""
    g, w, noise = 0.99, 1e-3, 0.1
    posterior = kind(np.full(3, 1e6), np.full(2, noise), noise_count=10.0, noise_forgetting=g)
    rng = np.random.default_rng(0)
    for _ in range(5000):
        posterior.predict(np.array([0.0, 0.0, 1.0]), noise * rng.standard_normal(2))
        posterior.add_innovation(w)
        assert np.all(np.abs(np.diag(posterior.Sigma) / noise**2 - 1.0) < 0.5)
    # what stays is a count of 10 g^(5000 w) + (1 - g^(5000 w)) w / (1 - g^w) = 9.51 + 4.88
    keep = g ** (5000 * w)
    assert posterior.count == pytest.approx(10.0 * keep + (1.0 - keep) * w / (1.0 - g**w), rel=1e-9)
    assert posterior.count == pytest.approx(14.39, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_with_plain_forgetting_a_single_sample_of_evidence_would_shrink_sigma(kind):
    """A thousand ticks without an error, each of weight 1e-3: together one sample, of a prior that counts ten."""
    g, w, noise = 0.99, 1e-3, 0.1
    posterior = kind(np.full(2, 1e6), np.full(1, noise), noise_count=10.0, noise_forgetting=g)
    scatter, count = 10.0 * noise**2, 10.0
    for _ in range(1000):
        posterior.predict(np.array([0.0, 1.0]), np.zeros(1))
        posterior.add_innovation(w)
        scatter, count = g * scatter, g * count + w
    # 10 g / (10 g + 1) = 0.908 of the prior's variance, and the floor; with g the count tends to w / (1 - g) = 0.1
    assert posterior.Sigma[0, 0] == pytest.approx(0.908 * noise**2, rel=1e-2)
    assert count == pytest.approx(0.1, abs=1e-3) and scatter / count < 0.01 * noise**2  # what g would have left of it


@pytest.mark.parametrize(("size", "outputs"), [(2, 1), (22, 7)])
def test_the_compiled_posterior_weighs_and_rebases_like_the_readable_one(size, outputs):
    if library() is None:
        pytest.skip("no C++ compiler: there is only the readable one")
    rng = np.random.default_rng(size)
    precision, noise = rng.uniform(1e-3, 1.0, size), rng.uniform(0.01, 0.1, outputs)
    precision = np.outer(rng.choice([1.0, 2.0, 5.0], outputs), precision)  # some outputs share theirs
    both = RegressionPosterior(precision, noise), CompiledPosterior(precision, noise)
    for k, (phi, y) in enumerate(samples(size, 100, size, outputs)):
        w, centre = 10.0 ** rng.uniform(-4, 0), rng.normal(size=size - 1)
        for posterior in both:
            nis = posterior.predict(phi, y)
            posterior.add(phi, y, 0.98, w)
            posterior.add_innovation(w)
            if k == 50:
                posterior.rebase(slice(0, size - 1), np.full((outputs, size - 1), 0.3))
            posterior.condition(centre)
        assert np.isfinite(nis)
        for name in ("W", "S", "C", "error", "Sigma", "inflation", "count"):
            np.testing.assert_allclose(
                getattr(both[1], name), getattr(both[0], name), rtol=1e-8, atol=1e-10, err_msg=name
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_weight_w_is_w_fold_evidence(kind):
    """Weight 3 is the sample three times, and half the weight of both halves is the whole."""
    once, thrice, halves = (kind(np.ones(4), np.ones(2)) for _ in range(3))
    for phi, y in samples(1, 10, 4, 2):
        once.add(phi, y, 1.0, 3.0)
        for _ in range(3):
            thrice.add(phi, y, 1.0)
        for _ in range(2):
            halves.add(phi, y, 1.0, 1.5)
    for other in (thrice, halves):
        np.testing.assert_allclose(other.S, once.S, rtol=1e-12)
        np.testing.assert_allclose(other.C, once.C, rtol=1e-12)
    plain = kind(np.ones(4), np.ones(2))
    for phi, y in samples(1, 10, 4, 2):
        plain.add(phi, y, 1.0)
    np.testing.assert_allclose(once.S, 3.0 * plain.S, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_an_innovation_of_weight_w_counts_w_fold(kind):
    """Without forgetting three innovations of a third each are one whole."""
    whole, thirds = (kind(np.ones(4), np.ones(2), noise_forgetting=1.0) for _ in range(2))
    phi, y = next(samples(2, 1, 4, 2))
    whole.predict(phi, y)
    whole.add_innovation()
    thirds.predict(phi, y)
    for _ in range(3):
        thirds.add_innovation(1.0 / 3.0)
    assert thirds.count == pytest.approx(whole.count) and whole.count == pytest.approx(11.0)
    np.testing.assert_allclose(thirds.Sigma, whole.Sigma, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_rebasing_is_restating_every_sample(kind):
    """The evidence of samples about one prior mean becomes exactly that of the same samples about another."""
    rng, rows = np.random.default_rng(3), slice(2, 5)
    change = rng.normal(size=(2, 3))
    moved, stated = (kind(np.ones(6), np.ones(2)) for _ in range(2))
    for phi, y in samples(3, 40, 6, 2):
        w = rng.uniform(0.1, 1.0)
        moved.add(phi, y, 0.97, w)
        stated.add(phi, y - change @ phi[rows], 0.97, w)
    S = moved.S.copy()
    moved.rebase(rows, change)
    np.testing.assert_allclose(moved.C, stated.C, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(moved.S, S)
    centre = rng.normal(size=5)
    np.testing.assert_allclose(moved.condition(centre), stated.condition(centre), rtol=1e-9, atol=1e-12)


# --- the model --------------------------------------------------------------------------------------------------------


def model(robot=None, **settings):
    c = Configuration.from_flat({f"dynamics.{key}": value for key, value in settings.items()})
    return build_dynamics(robot or planar_robot(2), DT, c.dynamics, c.priors)


def driven(n, ticks, seed=0, q=None):
    """Transitions of q'' = 8 u + 0.3 about the pose q under random efforts."""
    rng, q = np.random.default_rng(seed), np.zeros(n) if q is None else q
    for k in range(ticks):
        x, u = np.concatenate([q + 0.1 * rng.normal(size=n), rng.normal(size=n)]), rng.normal(size=n)
        qd = x[n:] + DT * (8.0 * u + 0.3) + 0.01 * rng.standard_normal(n)
        yield Transition(k * DT, x, u, np.concatenate([x[:n] + 0.5 * DT * (x[n:] + qd), qd]))


def test_rho_and_the_nis_by_hand():
    """One joint of 1/12 kg m^2: B = 0.06 rad/s per N m before any fit; noise 0.05 rad/s: Sigma = 0.0025 * 1.0001."""
    dynamics = model(planar_robot(1), noise=0.05)
    u, neighbors = np.array([1.0]), np.array([[0.5], [2.0]])
    transition = Transition(0.0, np.zeros(2), u, np.array([0.0, 0.2]))
    prediction = dynamics.predict(transition, neighbors, 0.01)
    B = DT / (0.25 / 3.0)
    # (10 ms / 5 ms)^2 * mean((0.06 * -0.5)^2, (0.06 * 1)^2) / Sigma = 4 * (0.0009 + 0.0036) / 2 / 0.0025 = 3.6
    rho = 4.0 * 0.5 * ((B * 0.5) ** 2 + (B * 1.0) ** 2) / (0.0025 * 1.0001)
    assert rho == pytest.approx(3.6, abs=1e-3)
    assert prediction.rho == pytest.approx(rho, rel=1e-9)
    inflation = float(dynamics.posterior.inflation[0])
    assert inflation > 1.0
    assert prediction.innovation.error == pytest.approx([0.2 - B * 1.0])
    assert prediction.innovation.covariance == pytest.approx(np.array([[(inflation + rho) * 0.0025 * 1.0001]]))
    assert prediction.innovation.nis == pytest.approx((0.2 - B) ** 2 / ((inflation + rho) * 0.0025 * 1.0001), rel=1e-9)
    dynamics.learn(prediction)  # with the weight 1 / 4.6: the constant's evidence is the weight itself
    assert dynamics.posterior.S[-1, -1] == pytest.approx(1.0 / (1.0 + rho), rel=1e-9)


def test_rho_takes_the_worst_joint_and_the_coupling():
    dynamics = model()
    gain = dynamics.input_gain
    assert abs(gain[0, 1]) > 0.1 * gain[0, 0]  # a command of one joint moves the other
    transition = Transition(0.0, np.zeros(4), np.zeros(2), np.zeros(4))
    rho = dynamics.predict(transition, np.array([[1.0, 0.0], [0.0, 0.0]]), DT).rho
    Sigma = dynamics.posterior.Sigma.diagonal()
    assert rho == pytest.approx((0.5 * gain[:, 0] ** 2 / Sigma).max(), rel=1e-9)
    assert np.argmax(gain[:, 0] ** 2 / Sigma) == 1


def test_the_nis_of_several_joints_is_that_of_the_wider_covariance():
    dynamics = model()
    for transition in driven(2, 200):
        dynamics.fit(transition.x, transition.u)
        dynamics.update(transition)
    transition = next(driven(2, 1, seed=9))
    prediction = dynamics.predict(transition, np.array([[3.0, -1.0], [0.5, 2.0]]), 0.003)
    innovation = prediction.innovation
    assert prediction.rho > 0.1
    root = np.sqrt(dynamics.posterior.inflation + prediction.rho)
    np.testing.assert_allclose(innovation.covariance, np.outer(root, root) * dynamics.posterior.Sigma)
    assert innovation.nis == pytest.approx(
        innovation.error @ np.linalg.solve(innovation.covariance, innovation.error), rel=1e-9
    )


@pytest.mark.parametrize("neighbors, std", ((None, 0.0), (None, 0.01), (np.full((2, 2), 5.0), 0.0)))
def test_a_time_that_is_known_exactly_changes_nothing(neighbors, std):
    """Bit for bit: what is learned without saying anything of the time."""
    plain, informed = model(), model()
    for transition in driven(2, 50):
        for dynamics, arguments in ((plain, ()), (informed, (neighbors, std))):
            dynamics.fit(transition.x, transition.u)
            innovation = dynamics.update(transition, *arguments)
            if dynamics is plain:
                expected = innovation
        assert innovation.nis == expected.nis and np.array_equal(innovation.covariance, expected.covariance)
    for name, array in plain.evidence().items():
        np.testing.assert_array_equal(informed.evidence()[name], array, err_msg=name)


def test_a_delay_off_by_one_tick_spoils_neither_gain_nor_noise_when_its_time_is_uncertain():
    """Large changes of effort, each taken for the next tick's: at full weight they undo the prior's gain."""
    gain, noise, true = {}, {}, 12.0 * DT
    for std in (0.0, 0.01):
        dynamics, x = model(planar_robot(1)), np.zeros(2)
        efforts = 4.0 * np.random.default_rng(1).standard_normal((12, 1))
        for k in range(10):
            before, u, after = efforts[k : k + 3]
            qd = x[1:] + true * before  # what was commanded one period earlier acts
            x_next = np.concatenate([x[:1] + 0.5 * DT * (x[1:] + qd), qd])
            dynamics.update(Transition(k * DT, x, u, x_next), np.array([before, after]), std)
            x = x_next
            dynamics.fit(x, u)
        gain[std], noise[std] = float(dynamics.input_gain[0, 0]), float(dynamics.posterior.Sigma[0, 0]) / 0.015**2
    assert gain[0.01] > 0.9 * true > 0.6 * true > gain[0.0]
    assert noise[0.01] < 1.2 and noise[0.0] > 10.0


# --- a prior that moves -----------------------------------------------------------------------------------------------


def test_moving_the_prior_is_having_learned_with_the_new_gain_all_along():
    moved, there = model(), model()
    here, pose = np.zeros(2), np.array([0.3, 1.8])
    moved.reset(here)
    there.reset(pose)
    precision = there.posterior.precision.copy()
    for transition in driven(2, 100):
        for dynamics in (moved, there):
            dynamics.posterior.precision[:] = precision  # of one prior: what differs below is the evidence alone
            dynamics.posterior.condition(np.concatenate([transition.x, transition.u / 20.0]))
            x, u = transition.x, transition.u
            y = transition.x_next[2:] - x[2:] - dynamics.prior.mean(x, u)
            dynamics.posterior.add(dynamics.regressors(x, u), y, 0.98)
    assert np.abs(moved.posterior.C - there.posterior.C).max() > 1e-2
    moved.move_prior(pose)
    np.testing.assert_allclose(moved.posterior.C, there.posterior.C, rtol=1e-9, atol=1e-12)
    x, u = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, -1.0])
    for name in ("F", "f", "Sigma"):
        np.testing.assert_allclose(
            getattr(moved.fit(x, u), name), getattr(there.fit(x, u), name), rtol=1e-8, atol=1e-11
        )


def test_moving_the_prior_conditions_at_once():
    """A prediction made after the move and before the next fit is by the moved model."""
    dynamics = model()
    for transition in driven(2, 50):
        dynamics.fit(transition.x, transition.u)
        dynamics.update(transition)
    dynamics.move_prior(np.array([0.3, 1.8]))
    transition = next(driven(2, 1, seed=9))
    error = dynamics.predict(transition).innovation.error.copy()
    dynamics.posterior.condition(dynamics.posterior.center.copy())
    np.testing.assert_allclose(error, dynamics.predict(transition).innovation.error, rtol=1e-12)


def test_the_spread_of_the_input_gain_follows_the_pose():
    """The weight of the prior is that of its gain at the present pose, not of the one it began at."""
    moved, there, pose = model(), model(), np.array([0.3, 1.8])
    moved.reset(np.zeros(2))
    there.reset(pose)
    moved.move_prior(pose)
    for transition in driven(2, 1):
        for dynamics in (moved, there):
            dynamics.update(transition)
    np.testing.assert_allclose(moved.posterior.precision, there.posterior.precision, rtol=1e-9)


@pytest.mark.parametrize("estimator", ("output_error", "frozen"))
def test_a_model_without_slopes_or_frozen_is_not_moved(estimator):
    dynamics = model(estimator=estimator, freeze_after=0.05)
    for transition in driven(2, 50):
        dynamics.update(transition)
        dynamics.fit(transition.x, transition.u)
    before = dynamics.fit(np.zeros(4), np.zeros(2)).F.copy()
    dynamics.move_prior(np.array([0.3, 1.8]), reliable=True)
    np.testing.assert_array_equal(dynamics.fit(np.zeros(4), np.zeros(2)).F, before)


def test_evidence_is_restored_at_another_pose():
    """A restored model predicts of the past what the one that learned it predicts."""
    learned, restored, pose = model(), model(), np.array([0.3, 1.8])
    for transition in driven(2, 100):
        learned.fit(transition.x, transition.u)
        learned.update(transition)
    evidence = learned.evidence()
    restored.reset(pose)
    restored.restore(evidence)
    learned.move_prior(pose)
    np.testing.assert_allclose(restored.evidence()["C"], learned.evidence()["C"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(restored.evidence()["prior_gain"], learned.evidence()["prior_gain"], rtol=1e-12)
    x, u = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, -1.0])
    for name in ("F", "f", "Sigma"):
        np.testing.assert_allclose(
            getattr(restored.fit(x, u), name), getattr(learned.fit(x, u), name), rtol=1e-8, atol=1e-11
        )
