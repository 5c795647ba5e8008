"""The residual that defines "solved" for every solver of `mbrl bench planner`, and the problem that they share."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from mbrl_ros.bench.planner import ours, peer, peers, problems
from mbrl_ros.bench.planner.qp_peers import sparse_qp, trajectory
from mbrl_ros.bench.planner.quadratic import QuadraticProblem, quadratise, residual


def by_hand(bound=math.inf):
    """min 1/2 u^2 + 1/2 x_1^2 with x_1 = 4 + u: without a box u = -2, with |u| <= 1 u = -1 and its multiplier 2."""
    one = np.ones((1, 1))
    return QuadraticProblem(
        F=np.ones((1, 1, 2)),
        f=np.zeros((1, 1)),
        G=np.diag([0.0, 1.0])[None],
        g=np.zeros((1, 2)),
        G_last=one,
        g_last=np.zeros(1),
        low=np.array([-bound]),
        high=np.array([bound]),
        X=np.array([[4.0], [4.0]]),
        U=np.zeros((1, 1)),
    )


def residual_of(problem, u, defect=0.0):
    U = np.array([[u]])
    X = problem.rollout(U)
    X[1] += defect
    return residual(problem, X, U)


def test_the_solution_by_hand_has_no_residual():
    assert residual_of(by_hand(), -2.0).largest == 0.0
    assert residual_of(by_hand(bound=1.0), -1.0).largest == 0.0


def test_the_residual_is_what_it_is_by_hand():
    free = residual_of(by_hand(), -1.5)  # h = u + x_1 = -1.5 + 2.5
    assert free == peer.residual(by_hand(), np.array([[4.0], [2.5]]), np.array([[-1.5]]))
    assert (free.stationarity, free.feasibility, free.complementarity) == (1.0, 0.0, 0.0)
    near = residual_of(by_hand(bound=1.0), -0.9)  # h = 2.2, slack 0.1, multiplier 2.2 / 1.1
    assert near.stationarity == pytest.approx(0.2) and near.complementarity == pytest.approx(0.2)
    assert residual_of(by_hand(bound=1.0), -1.5).feasibility == pytest.approx(0.5)
    # the gradient pushes towards the bound that is far
    assert residual_of(by_hand(bound=8.0), -8.0).stationarity == pytest.approx(12.0 * 16.0 / 17.0)


def test_states_that_do_not_obey_the_dynamics_are_infeasible():
    assert residual_of(by_hand(), -2.0, defect=0.3).feasibility == pytest.approx(0.3)
    problem = by_hand()
    moved = residual(problem, np.array([[4.5], [2.5]]), np.array([[-2.0]]))
    assert moved.feasibility == pytest.approx(0.5)


def test_a_trajectory_that_is_not_finite_is_no_solution():
    assert not residual_of(by_hand(bound=1.0), math.nan).largest <= peer.SOLVED


def objective(problem, X, U):
    Z = np.hstack([X[:-1], U])
    stages = 0.5 * np.einsum("ti,tij,tj", Z, problem.G, Z) + np.sum(problem.g * Z)
    return stages + 0.5 * X[-1] @ problem.G_last @ X[-1] + problem.g_last @ X[-1]


def condensed(problem):
    """H, g with 1/2 u^T H u + g^T u the objective of the stacked commands, up to a constant."""
    size = problem.U.size

    def states_of(u):
        return problem.rollout(u.reshape(problem.U.shape)).ravel()

    offset = states_of(np.zeros(size))
    S = np.stack([states_of(row) - offset for row in np.eye(size)], axis=1).reshape(-1, problem.nx, size)
    X0, hessian, gradient = offset.reshape(-1, problem.nx), np.zeros((size, size)), np.zeros(size)
    for t in range(problem.horizon):
        rows = np.zeros((problem.nu, size))
        rows[:, t * problem.nu : (t + 1) * problem.nu] = np.eye(problem.nu)
        Z, z = np.vstack([S[t], rows]), np.concatenate([X0[t], np.zeros(problem.nu)])
        hessian += Z.T @ problem.G[t] @ Z
        gradient += Z.T @ (problem.G[t] @ z + problem.g[t])
    return (
        hessian + S[-1].T @ problem.G_last @ S[-1],
        gradient + S[-1].T @ (problem.G_last @ X0[-1] + problem.g_last),
    )


@pytest.mark.parametrize("name", problems.PROBLEM_NAMES)
def test_the_exact_solution_of_an_active_set_method_has_no_residual_and_another_has(name):
    problem = quadratise(problems.make(name, 8))
    hessian, gradient = condensed(problem)
    root = np.linalg.cholesky(hessian)
    low, high = (np.tile(bound, problem.horizon) for bound in (problem.low, problem.high))
    if name == "P2":
        low, high = 0.02 * low, 0.02 * high  # at this horizon its own box does not bind
    bounds = dataclasses.replace(problem, low=low[: problem.nu], high=high[: problem.nu])
    exact = lsq_linear(root.T, -np.linalg.solve(root, gradient), (low, high), method="bvls", tol=1e-15, max_iter=1000)
    U = exact.x.reshape(problem.U.shape)
    assert np.any(np.abs(exact.x) >= high) and np.any(np.abs(exact.x) < high)
    assert residual(bounds, bounds.rollout(U), U).largest < 1e-9
    moved = np.clip(U + 1e-3, bounds.low, bounds.high)
    assert residual(bounds, bounds.rollout(moved), moved).largest > peer.SOLVED


def test_the_first_trajectory_is_a_feasible_start():
    for name in problems.PROBLEM_NAMES:
        problem = quadratise(problems.make(name, 20))
        np.testing.assert_allclose(problem.X, problem.rollout(problem.U), rtol=1e-12, atol=1e-12)
        found = residual(problem, problem.X, problem.U)
        assert found.feasibility < 1e-12 and found.stationarity > 1e-3


def test_the_sparse_form_is_the_same_problem():
    problem = quadratise(problems.make("P7", 6))
    qp, rng = sparse_qp(problem), np.random.default_rng(1)
    U = problem.U + rng.standard_normal(problem.U.shape)
    X = problem.rollout(U)
    w = np.concatenate(
        [np.hstack([dx, du]) for dx, du in zip(X - problem.X, U - problem.U, strict=False)] + [X[-1] - problem.X[-1]]
    )
    w = w[problem.nx :]
    assert np.abs(qp.A @ w).max() < 1e-12
    for given, found in zip((X, U), trajectory(problem, w), strict=True):
        np.testing.assert_allclose(found, given, atol=1e-12)

    change = objective(problem, X, U) - objective(problem, problem.X, problem.U)
    assert 0.5 * w @ qp.P @ w + qp.q @ w == pytest.approx(change, rel=1e-9)


@pytest.mark.parametrize("solver", ["ilqr_vm", "crocoddyl_box", "osqp", "piqp"])
@pytest.mark.parametrize("name", ["P2", "P7"])
def test_every_solver_solves_the_same_problem(solver, name):
    if solver != "ilqr_vm":
        pytest.importorskip(solver.partition("_")[0])
    problem = problems.make(name, 12)
    quadratic = quadratise(problem)
    made = peers.build(solver, problem, quadratic)
    found, reason = peer.solved(quadratic, made.variants)
    assert found is not None, reason
    prepare, run = found.runner
    prepare()
    run()
    X, U, iterations = found.variant.found()
    assert residual(quadratic, X, U).largest <= peer.SOLVED and iterations == found.iterations
    best = ours.exact(quadratic, "casadi", "step")
    best.prepare()
    best.run(40)
    assert objective(quadratic, X, U) == pytest.approx(objective(quadratic, *best.found()[:2]), rel=1e-6)


def test_box_fddp_clamps_rows_of_its_gains():
    pytest.importorskip("crocoddyl")
    from mbrl_ros.bench.planner.ddp_peers import clamped_rows

    clamped, rows = clamped_rows(quadratise(problems.make("P7", 10)))
    assert rows == 70 and 0 < clamped < 70


def test_a_solver_that_does_not_get_there_is_told_with_its_residual():
    problem = by_hand(bound=1.0)
    X = problem.rollout(problem.U)
    stuck = peer.Variant("stuck", (1, 2), lambda: None, lambda effort: None, lambda: (X, problem.U, 1))
    assert peer.solved(problem, (stuck,)) == (
        None,
        "its residual does not fall below 2e+00 within 2 s or the efforts tried",
    )


@pytest.mark.parametrize("needed", [1, 2, 3, 7, 8, 9, 60])
def test_the_least_effort_is_found(needed):
    problem, done, asked = by_hand(bound=1.0), {}, []

    def run(effort):
        asked.append(effort)
        done["u"] = -1.0 if effort >= needed else 0.5

    def found():
        U = np.array([[done["u"]]])
        return problem.rollout(U), U, asked[-1]

    variant = peer.Variant("steps", range(1, 61), lambda: None, run, found)
    reached, _ = peer.solved(problem, (variant,))
    assert (reached.effort, reached.iterations, reached.residual) == (needed, needed, 0.0)
    assert len(asked) < 20 + peer.CALLS_TRIED
