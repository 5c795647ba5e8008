"""The state equations against the map they linearize: the means by evaluating it, the noise by propagating it."""

import numpy as np
import pytest

from mbrl_ros.dynamics.state_equations import StateEquations
from support.finite_differences import derivative

DT = 0.1  # so that h = 0.05 and h^2 differ clearly


@pytest.mark.parametrize("n, m", [(2, 0), (3, 4)])
def test_mean_and_noise_are_those_of_the_map(n, m):
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
            [q + 0.5 * DT * (qd + qd_next), qd_next, s + 0.5 * DT * (sd + sd_next), sd_next],
        )

    dynamics = StateEquations(n, m, DT).assemble(A[None], b[None], noise, G)
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
