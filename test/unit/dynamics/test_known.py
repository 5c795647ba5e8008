"""The estimator `known`: the prior as it is, and nothing but the noise from the data."""

import numpy as np
import pytest

from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.dynamics import DynamicsSettings
from mbrl_ros.dynamics import build_dynamics
from mbrl_ros.dynamics.checkpoint import load_model, save_model
from mbrl_ros.dynamics.gain_posterior import gain_posterior
from mbrl_ros.dynamics.priors import rigid_body
from mbrl_ros.exceptions import DataError
from mbrl_ros.types import Transition
from support.needs import needs
from support.robots import planar_robot

DT, NOISE = 0.005, 0.02


def known(robot, **settings):
    c = Configuration.from_flat({"dynamics.estimator": "known", **settings})
    return build_dynamics(robot, DT, c.dynamics, c.priors)


def transitions(prior, n, ticks, seed=0, noise=NOISE, bias=0.0):
    """What an arm that is `prior` plus `bias` [rad/s per tick] does under random commands from random states."""
    rng = np.random.default_rng(seed)
    for k in range(ticks):
        x, u = rng.normal(0.0, 0.5, 2 * n), 5.0 * rng.standard_normal(n)
        qd_next = x[n:] + prior.mean(x, u) + bias + noise * rng.standard_normal(n)
        yield Transition(k * DT, x, u, np.concatenate([x[:n] + 0.5 * DT * (x[n:] + qd_next), qd_next]))


def assert_linearized(model, prior, X, U):
    """`model` is the prior's Jacobian about each (x, u), with the trapezoid rule for the positions, to the last bit."""
    n = U.shape[1]
    mean, jacobian = prior.linearize(X, U)
    identity = np.hstack([np.eye(n), np.zeros((n, n))])
    for t, z in enumerate(np.hstack([X, U])):
        F, f, _ = model.at(t)
        slope = jacobian[t].copy()
        slope[:, n : 2 * n] += np.eye(n)
        np.testing.assert_array_equal(F[n:], slope)
        np.testing.assert_allclose(F[n:] @ z + f[n:], X[t, n:] + mean[t], atol=1e-13)
        middle = 0.5 * DT * slope
        middle[:, : 2 * n] += identity
        middle[:, n : 2 * n] += 0.5 * DT * np.eye(n)
        np.testing.assert_allclose(F[:n], middle, atol=1e-15)


@pytest.mark.parametrize("interface", ["effort", "velocity", "position"])
def test_the_model_is_the_linearized_prior_at_every_tick_whatever_the_data(interface):
    """The data contradict the prior by far more than the noise."""
    n, robot = 2, planar_robot(interface=interface)
    dynamics = known(robot)
    for transition in transitions(dynamics.prior, n, 200, bias=0.3):
        assert_linearized(
            dynamics.fit(transition.x, transition.u), dynamics.prior, transition.x[None], transition.u[None]
        )
        dynamics.update(transition)
    assert not dynamics.posterior.S.any() and not dynamics.posterior.W.any()
    np.testing.assert_array_equal(dynamics.input_gain, dynamics.prior.jacobian[:, 2 * n :])


@needs("adam")
def test_a_nonlinear_prior_is_linearized_along_the_plan_at_every_tick():
    n, robot, rng = 2, planar_robot(), np.random.default_rng(3)
    dynamics = known(robot, **{"dynamics.prior": "rigid_body"})
    alone = rigid_body.build(rigid_body.Settings(), robot, DT)
    for transition in transitions(alone, n, 100, bias=0.3):
        X, U = rng.normal(0.0, 0.5, (5, 2 * n)), 5.0 * rng.standard_normal((5, n))
        assert_linearized(dynamics.fit(transition.x, transition.u, X, U), alone, X, U)
        dynamics.update(transition)


@needs("adam")
@pytest.mark.parametrize("estimator", ["known", "refit", "output_error"])
def test_the_expectation_is_the_models_at_the_present_state_also_where_the_plan_begins_elsewhere(estimator):
    n, robot, rng = 2, planar_robot(), np.random.default_rng(4)
    dynamics = known(robot, **{"dynamics.prior": "rigid_body", "dynamics.estimator": estimator})
    for transition in transitions(dynamics.prior, n, 50, bias=0.1):
        x, u = transition.x, transition.u
        X, U = x + 0.1 * rng.standard_normal((5, 2 * n)), u + rng.standard_normal((5, n))
        predicted = dynamics.fit(x, u, X, U).predict(x, u)
        np.testing.assert_allclose(dynamics.expectation[0], predicted[n:] - x[n:], atol=1e-12)
        np.testing.assert_array_equal(dynamics.expectation[1], u)
        dynamics.update(transition)


def test_nothing_is_learned_but_the_noise():
    n, robot = 3, planar_robot(3)
    dynamics = known(robot, **{"dynamics.noise": 0.5})
    x, u = np.linspace(-1.0, 1.0, 2 * n), np.array([1.0, -2.0, 3.0])
    before = dynamics.fit(x, u)
    for transition in transitions(dynamics.prior, n, 2000):
        dynamics.update(transition)
    after = dynamics.fit(x, u)
    np.testing.assert_array_equal(after.F, before.F)
    np.testing.assert_array_equal(after.f, before.f)
    # an average over about 50 ticks has a relative standard deviation of 0.2; and a hundredth of the prior's stays
    np.testing.assert_allclose(dynamics.noise_std, NOISE, rtol=0.4)
    np.testing.assert_allclose(before.Sigma[0].diagonal()[n:], 0.5**2, rtol=1e-3)


def test_no_uncertainty_of_the_coefficients_widens_the_prediction():
    dynamics = known(planar_robot())
    for transition in transitions(dynamics.prior, 2, 50):
        covariance = dynamics.posterior.Sigma.copy()
        prediction = dynamics.predict(transition)
        np.testing.assert_array_equal(prediction.innovation.covariance, covariance)
        dynamics.learn(prediction)


def test_noise_that_is_given_stays_and_the_nis_is_that_of_a_known_covariance():
    """noise_count and noise_forgetting fix Sigma; then an offset that lasts stays visible in the NIS."""
    n, robot = 2, planar_robot()
    fixed = {"dynamics.noise": NOISE, "dynamics.noise_count": 1e9, "dynamics.noise_forgetting": 1.0}
    chi_squared = 5.991  # 95 %, two degrees of freedom
    share = {}
    for bias in (0.0, 5.0 * NOISE):
        dynamics = known(robot, **fixed)
        inside = []
        for transition in transitions(dynamics.prior, n, 4000, bias=bias):
            innovation = dynamics.update(transition)
            assert innovation.bound == pytest.approx(chi_squared, rel=1e-3)
            inside.append(innovation.nis <= innovation.bound)
        np.testing.assert_allclose(dynamics.noise_std, NOISE, rtol=1e-3)
        share[bias] = np.mean(inside)
    assert share[0.0] == pytest.approx(0.95, abs=0.012)  # its standard deviation is 0.0034
    assert share[5.0 * NOISE] < 0.01


def test_an_offset_that_lasts_widens_the_noise_that_is_estimated():
    """The intervals stay right on average, as with every estimator; consistency falls where the offset begins."""
    n, bias = 2, 20.0 * NOISE
    dynamics = known(planar_robot())
    for transition in transitions(dynamics.prior, n, 500):
        dynamics.update(transition)
    assert dynamics.consistency.level == 1.0
    least, inside = 1.0, []
    for transition in transitions(dynamics.prior, n, 500, seed=1, bias=bias):
        innovation = dynamics.update(transition)
        least = min(least, dynamics.consistency.level)
        inside.append(innovation.nis <= innovation.bound)
    assert least < 0.5 and dynamics.consistency.level == 1.0
    assert np.mean(inside[100:]) > 0.9
    np.testing.assert_allclose(dynamics.noise_std, np.hypot(bias, NOISE), rtol=0.2)


def test_the_prior_is_taken_for_the_pose_and_does_not_learn_the_rotors():
    robot, pose = planar_robot(), np.array([0.3, 1.8])
    dynamics, alone = known(robot), known(robot).prior
    for transition in transitions(alone, 2, 100, bias=0.3):
        dynamics.fit(transition.x, transition.u)
        dynamics.update(transition)
        dynamics.move_prior(pose, reliable=True)
    alone.move_to(pose)
    np.testing.assert_array_equal(dynamics.prior.jacobian, alone.jacobian)
    assert dynamics.prior.rotors is None


def test_the_noise_survives_its_file_and_what_others_learned_is_not_taken_up(tmp_path):
    robot, file = planar_robot(), tmp_path / "model.npz"
    before, after = known(robot), known(robot)
    for transition in transitions(before.prior, 2, 100):
        before.update(transition)
    save_model(file, before, robot)
    load_model(file, after, robot)
    np.testing.assert_array_equal(after.noise_std, before.noise_std)
    x, u = np.zeros(4), np.zeros(2)
    others = {
        name: build_dynamics(robot, DT, DynamicsSettings(estimator=name), {}) for name in ("output_error", "refit")
    }
    for dynamics in others.values():
        for transition in transitions(before.prior, 2, 100, bias=0.3):
            dynamics.fit(transition.x, transition.u)
            dynamics.update(transition)
    save_model(file, others["output_error"], robot)
    load_model(file, after, robot)
    np.testing.assert_array_equal(after.fit(x, u).f, known(robot).fit(x, u).f)
    save_model(file, others["refit"], robot)
    with pytest.raises(DataError, match="dynamics.estimator"):
        load_model(file, after, robot)


def test_no_data_are_asked_for_where_the_gain_is_known():
    dynamics = known(planar_robot())
    assert gain_posterior(dynamics.posterior, np.ones(2)) is None


@pytest.mark.parametrize("compiled", [True, False])
def test_compiled_or_not_the_model_is_the_prior(monkeypatch, compiled):
    if not compiled:
        monkeypatch.setattr("mbrl_ros.dynamics.compiled_posterior.library", lambda: None)
    dynamics = known(planar_robot())
    for transition in transitions(dynamics.prior, 2, 20, bias=0.3):
        model = dynamics.fit(transition.x, transition.u)
        assert_linearized(model, dynamics.prior, transition.x[None], transition.u[None])
        dynamics.update(transition)
        np.testing.assert_array_equal(dynamics.posterior.inflation, 1.0)


def test_a_reset_forgets_the_noise():
    dynamics = known(planar_robot())
    expected = dynamics.noise_std
    for transition in transitions(dynamics.prior, 2, 100, noise=0.3):
        dynamics.update(transition)
    assert (dynamics.noise_std > 2.0 * expected).all()
    dynamics.reset()
    np.testing.assert_array_equal(dynamics.noise_std, expected)
