r"""OSQP and PIQP on the quadratic problem as a sparse QP.

    min 1/2 w^T P w + q^T w   s.t.   A w = 0,   low <= w <= high,        w = (u_0, x_1, u_1, ..., x_H)

w are deviations from the first trajectory, so that it is w = 0. The order by stages is what PIQP's multistage backend
finds its blocks in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...types import Array
from .peer import MOST_ITERATIONS, Peer, Trajectory, Variant
from .quadratic import QuadraticProblem

OSQP_TOLERANCES = tuple(10.0**-k for k in range(3, 12))
OSQP_ITERATIONS = 10_000
PIQP_TOLERANCE = 1e-12  # below what is asked for: the number of iterations ends the solution
PIQP_BACKENDS = ("sparse_multistage", "sparse_ldlt")


@dataclass(frozen=True, eq=False, slots=True)
class SparseQP:
    """P, q, A and the box of w."""

    P: Any
    q: Array
    A: Any
    low: Array
    high: Array


def sparse_qp(problem: QuadraticProblem) -> SparseQP:
    """Return the problem as a sparse QP."""
    from scipy import sparse

    H, nx, nu = problem.horizon, problem.nx, problem.nu
    z = np.hstack([problem.X[:-1], problem.U])
    gradient = np.einsum("tij,tj->ti", problem.G, z) + problem.g
    last = problem.G_last @ problem.X[-1] + problem.g_last
    P = sparse.block_diag([problem.G[0][nx:, nx:], *problem.G[1:], problem.G_last], format="csc")
    q = np.concatenate([gradient[0][nx:], gradient[1:].ravel(), last])
    A = sparse.lil_matrix((H * nx, q.size))
    low, high = np.full(q.size, -np.inf), np.full(q.size, np.inf)
    for t in range(H):
        start, row = t * (nx + nu), slice(t * nx, (t + 1) * nx)  # start: of u_t in w
        if t:
            A[row, start - nx : start] = -problem.F[t][:, :nx]
        A[row, start : start + nu] = -problem.F[t][:, nx:]
        A[row, start + nu : start + nu + nx] = np.eye(nx)
        low[start : start + nu], high[start : start + nu] = problem.low - problem.U[t], problem.high - problem.U[t]
    return SparseQP(P, q, A.tocsc(), low, high)


def trajectory(problem: QuadraticProblem, w: Array) -> tuple[Array, Array]:
    """Return X (H+1, nx), U (H, nu) of w."""
    nx, nu = problem.nx, problem.nu
    rows = np.concatenate([w[nu:], np.zeros(nu)]).reshape(problem.horizon, nx + nu)  # (x_{t+1}, u_{t+1})
    dU = np.vstack([w[:nu], rows[:-1, nx:]])
    return np.vstack([problem.X[:1], problem.X[1:] + rows[:, :nx]]), problem.U + dU


def by_osqp(problem: QuadraticProblem) -> Peer:
    """Return OSQP with a falling tolerance, with and without polishing."""
    variants = tuple(_osqp(problem, polishing) for polishing in (False, True))
    return Peer(None, variants, binaries=("osqp/ext_builtin",))


def _osqp(problem: QuadraticProblem, polishing: bool) -> Variant:
    import osqp
    from scipy import sparse

    qp, solver = sparse_qp(problem), osqp.OSQP()
    equalities = np.zeros(qp.A.shape[0])
    boxed = np.flatnonzero(np.isfinite(qp.low))
    rows = sparse.vstack([qp.A, sparse.eye(qp.q.size, format="csr")[boxed]], format="csc")
    low, high = np.concatenate([equalities, qp.low[boxed]]), np.concatenate([equalities, qp.high[boxed]])
    upper = sparse.triu(qp.P, format="csc")
    solver.setup(
        upper, qp.q, rows, low, high, verbose=False, polishing=polishing, max_iter=OSQP_ITERATIONS, warm_starting=True
    )
    rho, w, y = solver.settings.rho, np.zeros(qp.q.size), np.zeros(low.size)
    last: dict[str, Any] = {}

    def prepare() -> None:
        solver.update_settings(rho=rho)
        solver.warm_start(x=w, y=y)

    def run(tolerance: float) -> None:
        if last.get("tolerance") != tolerance:
            solver.update_settings(eps_abs=tolerance, eps_rel=tolerance)
            last["tolerance"] = tolerance
        last["result"] = solver.solve(raise_error=False)

    def found() -> Trajectory:
        result = last["result"]
        return (*trajectory(problem, result.x), result.info.iter)

    return Variant("polished" if polishing else "not polished", OSQP_TOLERANCES, prepare, run, found)


def by_piqp(problem: QuadraticProblem) -> Peer:
    """Return PIQP with a growing number of iterations; it takes no start."""
    variants = tuple(_piqp(problem, backend) for backend in PIQP_BACKENDS)
    return Peer(None, variants, binaries=("piqp/piqp_python",))


def _piqp(problem: QuadraticProblem, backend: str) -> Variant:
    import piqp

    qp, solver = sparse_qp(problem), piqp.SparseSolver()
    settings = solver.settings
    settings.verbose, settings.kkt_solver = False, getattr(piqp, backend)
    settings.eps_abs = settings.eps_rel = settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = PIQP_TOLERANCE
    solver.setup(qp.P, qp.q, qp.A, np.zeros(qp.A.shape[0]), None, None, None, qp.low, qp.high)

    def run(iterations: int) -> None:
        solver.settings.max_iter = iterations
        solver.solve()

    def found() -> Trajectory:
        return (*trajectory(problem, np.array(solver.result.x)), solver.result.info.iter)

    return Variant(backend, range(1, MOST_ITERATIONS + 1), _nothing, run, found)


def _nothing() -> None:
    """Do nothing."""
