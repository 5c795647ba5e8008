"""Cheaper ways to the same numbers."""

import numpy as np
import pytest

from mbrl_ros.costs import CostContext, build_cost, command_change
from mbrl_ros.dynamics.compiled_posterior import make_posterior
from mbrl_ros.dynamics.consistency import NisBound
from mbrl_ros.dynamics.posterior import RegressionPosterior
from mbrl_ros.dynamics.velocity_gate import VelocityGate, make_gate

N, DT = 3, 0.005


@pytest.mark.parametrize("make", (VelocityGate, make_gate))
def test_a_gate_told_that_velocities_agree_remembers_what_it_would_have_seen(make):
    rng = np.random.default_rng(0)
    short, full = make(N, DT, 6.0), VelocityGate(N, DT, 6.0)
    short.agree(np.ones(2 * N), np.zeros(2 * N))
    short.reset()
    x = rng.normal(size=2 * N)
    for _ in range(40):
        x_next = x + 0.01 * rng.standard_t(2.0, size=2 * N)  # outliers, too: they must not widen the gate either way
        short.agree(x, x_next)
        assert not full.refused(x, x_next, np.zeros(N), np.ones(N)).any()
        np.testing.assert_array_equal(short._square, full._square)
        x = x_next
    spike, error = np.r_[x[:N], x[N:] + 100.0], np.full(N, 100.0)
    for _ in range(2):
        refused = [gate.refused(x, spike, error, np.ones(N)) for gate in (short, full)]
        np.testing.assert_array_equal(*refused)
        assert refused[0].all()
    short.agree(x, x)
    full.refused(x, x, np.zeros(N), np.ones(N))
    np.testing.assert_array_equal(short._running, full._running)


@pytest.mark.parametrize("seed", range(5))
def test_no_joint_is_beyond_the_threshold_while_the_nis_is_below_its_square(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(N, N))
    covariance = A @ A.T + 1e-3 * np.eye(N)
    e = 10.0 * rng.normal(size=(1000, N)) @ A.T
    nis = np.einsum("ti,ij,tj->t", e, np.linalg.inv(covariance), e)
    assert (e**2 / covariance.diagonal() <= nis[:, None] * (1.0 + 1e-9)).all()


def test_interpolation_is_numpys():
    bound = NisBound(7, 100.0)
    for x in [*np.random.default_rng(1).uniform(0.0, 120.0, 200), *bound._dof]:
        assert bound.at(float(x)) == pytest.approx(np.interp(x, bound._dof, bound._bounds), rel=1e-13)
    assert bound.at(0.0) == bound.highest


@pytest.mark.parametrize("make", (RegressionPosterior, make_posterior))
def test_the_variance_is_sigmas_diagonal_whatever_was_learned(make):
    posterior, rng = make(np.ones(4), np.full(N, 0.1)), np.random.default_rng(2)
    for _ in range(5):
        phi = np.r_[rng.normal(size=3), 1.0]
        posterior.predict(phi, rng.normal(size=N))
        posterior.add_innovation()
        np.testing.assert_array_equal(posterior.variance, posterior.Sigma.diagonal())


def test_the_shape_of_the_command_change_is_the_documented_quadratic_form():
    rng = np.random.default_rng(3)
    B, h, a = rng.normal(size=(N, N)), np.array([10.0, 5.0, 2.0]), 7.0
    cost = build_cost({"command_change": command_change.Settings(weight=2.0)}, CostContext(None, N, 0, N, DT, 4, -h, h))
    p = cost.parameters(4)[0]
    p[cost.layout["command_change.shape"]] = command_change.shape(B, h, a)
    d = rng.normal(size=N)
    value, gradient, hessian = (
        np.array(cost.stage(np.zeros(2 * N), np.zeros(N), d, p)),
        *map(np.array, cost.stage_expansion(np.zeros(2 * N), np.zeros(N), d, p)),
    )
    M = np.diag(h**-2.0) + B.T @ B / a**2
    assert value.item() == pytest.approx(d @ M @ d)
    np.testing.assert_allclose(gradient.ravel()[2 * N : 3 * N], 2.0 * M @ d, rtol=1e-10)
    np.testing.assert_allclose(hessian[2 * N : 3 * N, 2 * N : 3 * N], 2.0 * np.tril(M), rtol=1e-10, atol=1e-14)
