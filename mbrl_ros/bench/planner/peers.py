"""The solvers that are compared. Each is (prepare, run); run is timed: one iteration, of a QP solver one solution.

Crocoddyl and the QP solvers get the problem already linear-quadratic along the first trajectory, in their own C++
models, so they need not evaluate the nonlinear cost that ours does in the same time. New dynamics are not pushed into
Crocoddyl's models either (which from Python costs as much as its iteration).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import casadi
import numpy as np

from ...planners.ilqr.numpy_ilqr import NumpyIlqr
from ...types import Array
from .numpy_cost import NumpyEvaluator
from .problems import BenchProblem

Runner = tuple[Callable[[], None], Callable[[], object]]


def ours(problem: BenchProblem, backend: str, iterations: int = 1) -> Runner:
    """Return this package's iLQR with one of its backends."""
    planner = problem.planner(backend, iterations)
    parameters, u = problem.parameters, np.zeros(problem.nu)

    def prepare() -> None:
        planner.reset(problem.x0, u)
        planner.U[:] = problem.U

    return prepare, lambda: planner.plan(problem.x0, problem.dynamics, parameters, u)


def by_numpy(problem: BenchProblem) -> Runner:
    """Return this package's iLQR in numpy, with the costs in numpy, too."""
    planner = problem.planner("numpy")
    assert isinstance(planner.solver, NumpyIlqr)
    planner.solver.evaluate = NumpyEvaluator(problem)
    parameters, u = problem.parameters, np.zeros(problem.nu)

    def prepare() -> None:
        planner.reset(problem.x0, u)
        planner.U[:] = problem.U

    return prepare, lambda: planner.plan(problem.x0, problem.dynamics, parameters, u)


def quadratised(problem: BenchProblem) -> tuple[Array, Array, Array, Array, Array]:
    """Expand the problem along the first commands.

    Returns X (H+1, nx), and along it g (H, nz), G (H, nz, nz), and g (nx,), G (nx, nx) of the last stage.
    """
    H, nx, nz, p, v = problem.horizon, problem.nx, problem.nx + problem.nu, problem.parameters, np.zeros(problem.nu)
    X, g, G = np.empty((H + 1, nx)), np.empty((H, nz)), np.empty((H, nz, nz))
    X[0] = problem.x0
    for t in range(H):
        gradient, hessian = problem.cost.stage_expansion(X[t], v, problem.U[t], p[t])
        g[t], G[t] = gradient.full().ravel()[:nz], casadi.tril2symm(hessian).full()[:nz, :nz]
        X[t + 1] = problem.dynamics.predict(X[t], problem.U[t], t)
    gradient, hessian = problem.cost.terminal_expansion(X[H], p[H])
    return X, g, G, gradient.full().ravel(), casadi.tril2symm(hessian).full() + 1e-6 * np.eye(nx)


def by_crocoddyl(problem: BenchProblem, solver: str) -> Runner:
    """Return a solver of Crocoddyl by the name of its class."""
    import crocoddyl

    H, nx, nu = problem.horizon, problem.nx, problem.nu
    X, g, G, g_last, G_last = quadratised(problem)
    models = []
    for t in range(H + 1):
        F, f, _ = problem.dynamics.at(min(t, H - 1))
        Q, R, N = (
            (G[t][:nx, :nx], G[t][nx:, nx:], G[t][:nx, nx:])
            if t < H
            else (G_last, 1e-3 * np.eye(nu), np.zeros((nx, nu)))
        )
        q = (g[t][:nx] if t < H else g_last) - Q @ X[t]
        r = g[t][nx:] - R @ problem.U[t] if t < H else np.zeros(nu)
        model = crocoddyl.ActionModelLQR(F[:, :nx], F[:, nx:], Q, R, N, f, q, r)
        model.u_lb, model.u_ub = np.full(nu, -problem.bound), np.full(nu, problem.bound)
        models.append(model)
    shooting = crocoddyl.ShootingProblem(problem.x0, models[:H], models[H])
    shooting.nthreads = 1
    made = vars(crocoddyl)[solver](shooting)
    made.th_stop = 1e-30
    xs, us = list(X), list(problem.U)
    return lambda: None, lambda: made.solve(xs, us, 1, False)


def sparse_qp(problem: BenchProblem) -> tuple[Any, Array, Any, Array, Array]:
    """Return P, q, A, l, u of the problem as a sparse QP.

    min 1/2 w^T P w + q^T w   s.t.   l <= A w <= u,   w = (x_1 .. x_H, u_0 .. u_{H-1}), as deviations
    """
    from scipy import sparse

    H, nx, nu = problem.horizon, problem.nx, problem.nu
    _, g, G, g_last, G_last = quadratised(problem)
    states = [G[t][:nx, :nx] for t in range(1, H)] + [G_last]
    cross = sparse.lil_matrix((H * nx, H * nu))
    for t in range(1, H):
        cross[(t - 1) * nx : t * nx, t * nu : (t + 1) * nu] = G[t][:nx, nx:]
    commands = sparse.block_diag([G[t][nx:, nx:] for t in range(H)])
    P = sparse.bmat([[sparse.block_diag(states), cross], [cross.T, commands]], format="csc")
    q = np.concatenate([*(g[t][:nx] for t in range(1, H)), g_last, *(g[t][nx:] for t in range(H))])
    chain, input_ = sparse.eye(H * nx, format="lil"), sparse.lil_matrix((H * nx, H * nu))
    for t in range(H):
        F = problem.dynamics.at(t)[0]
        if t:
            chain[t * nx : (t + 1) * nx, (t - 1) * nx : t * nx] = -F[:, :nx]
        input_[t * nx : (t + 1) * nx, t * nu : (t + 1) * nu] = -F[:, nx:]
    A = sparse.bmat([[chain, input_], [None, sparse.eye(H * nu)]], format="csc")
    zero = np.zeros(H * nx)
    return (
        P,
        q,
        A,
        np.concatenate([zero, (-problem.bound - problem.U).ravel()]),
        np.concatenate([zero, (problem.bound - problem.U).ravel()]),
    )


def by_osqp(problem: BenchProblem) -> Runner:
    """Return OSQP on the sparse problem."""
    import osqp
    from scipy import sparse

    P, q, A, low, high = sparse_qp(problem)
    solver = osqp.OSQP()
    solver.setup(
        sparse.triu(P, format="csc"),
        q,
        A,
        low,
        high,
        verbose=False,
        eps_abs=1e-6,
        eps_rel=1e-6,
        max_iter=4000,
        warm_starting=False,
    )
    return lambda: None, solver.solve


def by_piqp(problem: BenchProblem) -> Runner:
    """Return PIQP on the sparse problem."""
    import piqp

    P, q, A, low, high = sparse_qp(problem)
    equalities = problem.horizon * problem.nx
    solver = piqp.SparseSolver()
    solver.settings.verbose = False
    x_low = np.concatenate([np.full(equalities, -np.inf), low[equalities:]])
    x_high = np.concatenate([np.full(equalities, np.inf), high[equalities:]])
    solver.setup(P, q, A[:equalities], np.zeros(equalities), None, None, None, x_low, x_high)
    return lambda: None, solver.solve


def whole_tick(problem: BenchProblem) -> Runner | None:
    """Return a whole tick of P7: update, fit and plan; None for other problems."""
    from .tick import refit_and_plan

    return refit_and_plan(problem) if problem.name == "P7" else None


# None: the solver does not exist for this problem.
SOLVERS: dict[str, Callable[[BenchProblem], Runner | None]] = {
    "ilqr": lambda problem: ours(problem, "compiled"),
    "ilqr_vm": lambda problem: ours(problem, "casadi"),
    "numpy": by_numpy,
    "crocoddyl_fddp": lambda problem: by_crocoddyl(problem, "SolverFDDP"),
    "crocoddyl_box": lambda problem: by_crocoddyl(problem, "SolverBoxFDDP"),
    "osqp": by_osqp,
    "piqp": by_piqp,
    "refit_ilqr_2": whole_tick,  # no other solver: the update and fit of the posterior, and two iterations
}
