"""Unstable dynamics over a long horizon: what single shooting loses of its digits, against the sparse KKT system."""

import casadi
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner
from mbrl_ros.types import LinearGaussianDynamics

NX, NU, TERMINAL, EFFORT = 6, 2, 5.0, 0.09  # factor of the last stage, weight of u^2
NO_LIMIT = np.full(NU, 1e30)
BACKENDS = ([pytest.param("compiled", marks=pytest.mark.slow)] if find_compiler() else []) + ["numpy"]


def problem(seed, radius):
    """A (NX, NX) of this spectral radius, B, f, the target (NX,) and the start (NX,)."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(NX, NX))
    A *= radius / np.abs(np.linalg.eigvals(A)).max()
    return A, rng.normal(size=(NX, NU)), 0.1 * rng.normal(size=NX), rng.normal(size=NX), rng.normal(size=NX)


def exact(A, B, f, target, x0, H):
    """U (H, NU) of the whole problem's KKT system in z_t = [u_t; x_(t+1)], solved by sparse LU and refined."""
    stage = np.concatenate([np.full(NU, EFFORT), np.ones(NX)])
    Q = np.tile(stage, H)
    Q[-NX:] *= TERMINAL
    q = np.tile(np.concatenate([np.zeros(NU), -target]), H)
    q[-NX:] *= TERMINAL
    E = scipy.sparse.kron(scipy.sparse.eye(H), np.hstack([-B, np.eye(NX)])).tolil()
    E += scipy.sparse.kron(scipy.sparse.eye(H, k=-1), np.hstack([np.zeros((NX, NU)), -A]))
    b = np.tile(f, H)
    b[:NX] += A @ x0
    K = scipy.sparse.bmat([[scipy.sparse.diags(Q), E.T], [E, None]]).tocsc()
    right, lu = np.concatenate([-q, b]), scipy.sparse.linalg.splu(K)
    z = lu.solve(right)
    for _ in range(3):
        z += lu.solve(right - K @ z)
    assert np.abs(K @ z - right).max() < 1e-13
    return z[: Q.size].reshape(H, NU + NX)[:, :NU]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "radius, H, first, second", [(1.0, 30, 1e-13, 1e-13), (1.3, 30, 1e-10, 1e-10), (1.3, 100, 0.1, 1e-12)]
)
def test_the_second_iteration_has_the_digits_that_the_first_loses(backend, radius, H, first, second):
    """From constant commands the first rollout leaves every scale (1.3^100 = 2e11); the first plan's do not."""
    x, u, v = casadi.SX.sym("x", NX), casadi.SX.sym("u", NU), casadi.SX.sym("v", NU)
    for seed in range(3):
        A, B, f, target, x0 = problem(seed, radius)
        terms = [
            ("state", Term(x - target, StateCostSettings(terminal=TERMINAL))),
            ("command", Term(np.sqrt(EFFORT) * u, CostSettings())),
        ]
        cost = CostModel(x, u, v, terms)
        settings = PlannerSettings(horizon=H, backend=backend, iterations=1, tolerance=0.0)
        planner = IlqrPlanner(cost, settings, NX, NU, -NO_LIMIT, NO_LIMIT)
        planner.reset(x0, np.zeros(NU))
        dynamics = LinearGaussianDynamics(np.hstack([A, B])[None], f[None], np.zeros((1, NX, NX)))
        expected = exact(A, B, f, target, x0, H)
        for bound in (first, second):
            U = planner.plan(x0, dynamics, cost.parameters(H), np.zeros(NU), 0).u_hat
            assert np.abs(U - expected).max() <= bound * np.abs(expected).max()
