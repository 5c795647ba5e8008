"""The dynamics as a nonlinear model and what it leaves, against those that are linearized."""

import casadi
import numpy as np
import pytest

from mbrl_ros.config.sections.dynamics import DynamicsSettings, FeatureSettings
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics import OnlineDynamics
from mbrl_ros.dynamics.priors import ensemble, gmm, integrator, rigid_body
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.types import Transition
from support.finite_differences import derivative
from support.needs import needs
from support.robots import planar_robot

DT, N = 0.01, 2
PRIORS = [pytest.param("rigid_body", marks=needs("adam")), "gmm", "ensemble"]


def fitted(module, seed, **options):
    """The arrays of a learned prior for smooth dynamics that `seed` draws."""
    rng = np.random.default_rng(seed)
    X, U, A = rng.uniform(-1.5, 1.5, (300, 2 * N)), rng.uniform(-8.0, 8.0, (300, N)), rng.normal(size=(3 * N, N))
    D = DT * (np.sin(np.hstack([X, U]) @ A) + U)
    data = Dataset(Owner(("j1", "j2"), "effort", DT), X, U, D, np.zeros(300, dtype=int), ("random states",))
    return module.fit(data, np.full(N, 8.0), **options)


def prior_of(name, robot=None, seed=0):
    robot = robot or planar_robot(N)
    if name == "rigid_body":
        return rigid_body.build(rigid_body.Settings(armature=(0.1,)), robot, DT)
    if name == "gmm":
        return gmm.from_arrays(fitted(gmm, seed, components=3), robot, DT)
    return ensemble.from_arrays(fitted(ensemble, seed, members=2, epochs=3), robot, DT)


@pytest.mark.parametrize("name", PRIORS)
def test_expressions_are_the_prior_and_its_derivatives(name):
    prior, rng = prior_of(name), np.random.default_rng(1)
    e = prior.expression()
    lower = casadi.densify(casadi.tril(e.curvature))
    function = casadi.Function("mean", [e.x, e.u, e.theta, e.s], [e.delta, e.jacobian, lower])
    for _ in range(5):
        x, u, s = rng.uniform(-1.5, 1.5, 2 * N), rng.uniform(-8.0, 8.0, N), rng.normal(size=N)
        delta, jacobian, curvature = (part.full() for part in function(x, u, e.values, s))
        mean, slope = prior.linearize(x[None], u[None])
        np.testing.assert_allclose(delta[:, 0], mean[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(jacobian, slope[0], rtol=1e-9, atol=1e-10 * np.abs(slope).max())
        bent = derivative(
            lambda z, s=s: s @ prior.linearize(z[None, : 2 * N], z[None, 2 * N :])[1][0], np.concatenate([x, u]), 1e-5
        )
        np.testing.assert_allclose(curvature, np.tril(bent), rtol=1e-5, atol=1e-6 * np.abs(bent).max())


def test_what_was_fitted_is_a_parameter_and_no_constant():
    """The expressions of two models that were fitted to different data are the same program."""
    for name in ("gmm", "ensemble"):
        programs = []
        for seed in (0, 1):
            e = prior_of(name, seed=seed).expression()
            f = casadi.Function("mean", [e.x, e.u, e.theta, e.s], [e.delta, e.jacobian, e.curvature], {"cse": True})
            constants = [
                f.instruction_constant(i) for i in range(f.n_instructions()) if f.instruction_id(i) == casadi.OP_CONST
            ]
            programs.append((f.n_instructions(), constants))
        assert programs[0] == programs[1], name


@pytest.mark.parametrize("estimator", ["refit", "output_error", "known"])
@pytest.mark.parametrize("points", [0, 1])
@pytest.mark.parametrize("name", PRIORS)
def test_model_and_residual_are_the_dynamics(name, points, estimator):
    """Linearized at any stage of a horizon they are what `fit` gives there, features included."""
    robot, rng = planar_robot(N), np.random.default_rng(2)
    dynamics = OnlineDynamics(
        robot, DT, DynamicsSettings(estimator=estimator), prior_of(name), FeatureSettings(points=points)
    )
    nx = dynamics.nx
    x = rng.uniform(-0.5, 0.5, nx)
    for t in range(30):
        u = rng.uniform(-5.0, 5.0, N)
        x_next = x + DT * rng.normal(size=nx)
        dynamics.update(Transition(t * DT, x, u, x_next))
        x = x_next
    dynamics.features.G[:] = rng.normal(size=dynamics.features.G.shape)
    X, U = rng.uniform(-0.5, 0.5, (4, nx)), rng.uniform(-5.0, 5.0, (4, N))
    linearized = dynamics.fit(x, u, X, U)
    model, residual = dynamics.nonlinear_model(), dynamics.residual()
    assert residual.F.shape == (1, nx, nx + N)
    np.testing.assert_array_equal(residual.Sigma, linearized.Sigma)
    for t in range(4):
        slope = model.jacobian(X[t], U[t], model.theta).full() + residual.F[0]
        np.testing.assert_allclose(slope, linearized.F[t], rtol=1e-9, atol=1e-11)
        exact = model.phi(X[t], U[t], model.theta).full()[:, 0] + residual.predict(X[t], U[t])
        np.testing.assert_allclose(exact, linearized.predict(X[t], U[t], t), rtol=1e-9, atol=1e-11)


def test_a_linear_prior_is_no_nonlinear_model():
    robot = planar_robot(N)
    dynamics = OnlineDynamics(robot, DT, DynamicsSettings(), integrator.build(integrator.Settings(), robot, DT))
    with pytest.raises(ConfigurationError, match="'integrator' is linear"):
        dynamics.nonlinear_model()


def test_too_large_a_learned_model_is_refused():
    e = prior_of("ensemble")
    e._arrays = {**e._arrays, "b1": np.zeros((2, ensemble.MOST_EXPRESSED_UNITS))}
    with pytest.raises(ConfigurationError, match="hidden units for its model"):
        e.expression()
