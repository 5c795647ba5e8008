"""The state equations against the map they linearize: the means by evaluating it, the noise by propagating it."""

import numpy as np
import pytest

from mbrl_ros.dynamics.state_equations import StateEquations
from support.finite_differences import derivative

DT = 0.1  # so that h = 0.05 and h^2 differ clearly


def differenced(equations, periods, seed=0, noise=0.0):
    """Show states whose velocities are the differences of the positions; `noise` is that of the velocities."""
    rng, n = np.random.default_rng(seed), equations.n
    q = np.cumsum(rng.normal(size=(periods + 1, n)), axis=0)
    states = np.hstack([q[1:], np.diff(q, axis=0) / DT + noise * rng.normal(size=(periods, n))])
    for x, x_next in zip(states[:-1], states[1:], strict=True):
        equations.add(x, x_next)


def swinging(equations, periods, noise=0.0):
    """Show states of a sine with its true velocities."""
    rng, turn = np.random.default_rng(0), np.arange(equations.n) + 1.0
    times = DT * np.arange(periods)[:, None]
    states = np.hstack([np.sin(turn * times), turn * np.cos(turn * times)])
    states += noise * rng.normal(size=states.shape)
    for x, x_next in zip(states[:-1], states[1:], strict=True):
        equations.add(x, x_next)


@pytest.mark.parametrize("n, m, theta", [(2, 0, 0.5), (3, 4, 0.5), (3, 4, 1.0)])
def test_mean_and_noise_are_those_of_the_map(n, m, theta):
    rng = np.random.default_rng(n)
    A, b = rng.normal(size=(n, 3 * n)), rng.normal(size=n)
    G, root = rng.normal(size=(m, n)), rng.normal(size=(n, n))
    noise = root @ root.T

    def successor(x, u, e):
        """x' of x = [q; qd; s; sd] and u where the velocities change by A [q; qd; u] + b + e."""
        q, qd, s, sd = np.split(x, [n, 2 * n, 2 * n + m])
        qd_next = qd + A @ np.concatenate([q, qd, u]) + b + e
        sd_next = G @ qd_next
        return np.concatenate(
            [q + DT * ((1.0 - theta) * qd + theta * qd_next), qd_next, s + 0.5 * DT * (sd + sd_next), sd_next],
        )

    equations = StateEquations(n, m, DT)
    if theta == 1.0:
        differenced(equations, 30)
    dynamics = equations.assemble(A[None], b[None], noise, G)
    F, f, Sigma = dynamics.at(0)
    x, u = rng.normal(size=2 * (n + m)), rng.normal(size=n)
    np.testing.assert_allclose(F @ np.concatenate([x, u]) + f, successor(x, u, np.zeros(n)), rtol=1e-12, atol=1e-12)
    L = derivative(lambda e: successor(x, u, e), np.zeros(n))  # the map is linear in e
    propagated = L @ noise @ L.T
    joints, image = slice(0, 2 * n), slice(2 * n + m, None)
    np.testing.assert_allclose(Sigma[joints, joints], propagated[joints, joints], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(Sigma[image, image], propagated[image, image], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(Sigma, Sigma.T, rtol=1e-12, atol=1e-12)


def test_every_stage_has_its_own_slope_and_the_same_noise():
    n, stages, rng = 2, 5, np.random.default_rng(0)
    A, b, noise = rng.normal(size=(stages, n, 3 * n)), rng.normal(size=(stages, n)), np.diag([0.1, 0.2])
    equations, G = StateEquations(n, 0, DT), np.zeros((0, n))
    dynamics = equations.assemble(A, b, noise, G)
    for t in range(stages):
        alone = equations.assemble(A[t : t + 1], b[t : t + 1], noise, G)
        for given, expected in zip(dynamics.at(t), alone.at(0), strict=True):
            np.testing.assert_array_equal(given, expected)


def test_velocities_that_are_differences_of_the_positions_are_found_joint_by_joint():
    equations = StateEquations(2, 0, DT)
    differenced(equations, 10)
    assert equations.theta.tolist() == [0.5, 0.5]  # too few
    differenced(equations, 20)
    assert equations.theta.tolist() == [1.0, 1.0]
    swinging(equations, 600)  # forgets the large residuals
    assert equations.theta.tolist() == [0.5, 0.5]
    rng, q = np.random.default_rng(1), np.zeros(2)
    for _ in range(200):  # one joint of each kind
        before, step = q, rng.normal(size=2)
        q = q + step
        equations.add(np.concatenate([before, [0.0, 0.0]]), np.concatenate([q, [step[0] / DT, 2.0 * step[1] / DT]]))
    assert equations.theta.tolist() == [1.0, 0.5]
    equations.reset()
    assert equations.theta.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("noise", (0.0, 1e-3, 0.1))
def test_measured_velocities_keep_the_trapezoid_rule(noise):
    """Whatever their noise is, and at rest: the residual of the other rule holds more of it."""
    equations = StateEquations(3, 0, DT)
    swinging(equations, 300, noise)
    assert equations.theta.tolist() == [0.5] * 3
    rng = np.random.default_rng(2)
    rest = noise * rng.normal(size=(300, 6))
    for x, x_next in zip(rest[:-1], rest[1:], strict=True):
        equations.add(x, x_next)
        assert equations.theta.tolist() == [0.5] * 3
