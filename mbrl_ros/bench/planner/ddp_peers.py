"""Crocoddyl and mim_solvers, on the quadratic problem in Crocoddyl's own C++ models.

They need not evaluate the nonlinear cost that ours expands in the same time, and new dynamics are not pushed into their
models, which from Python costs as much as an iteration. Every solve starts from the rolled-out first trajectory and is
told that it is feasible: from an infeasible one BoxFDDP computes its gains without the box.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .peer import Peer, Trajectory, Variant
from .quadratic import QuadraticProblem

FDDP_ITERATIONS = tuple(range(1, 201))
TINY_STOP = 1e-30  # of Crocoddyl's own stopping criterion, so that the number of iterations is what was asked for
CSQP_ITERATIONS = 10_000
CSQP_TOLERANCES = tuple(10.0**-k for k in range(3, 13))


def by_crocoddyl(problem: QuadraticProblem, solver: str) -> Peer:
    """Return a solver of Crocoddyl by the name of its class; only BoxFDDP heeds the box."""
    import crocoddyl

    made, xs, us = shooting_solver(problem, vars(crocoddyl)[solver])
    made.th_stop = TINY_STOP

    def run(iterations: int) -> object:
        return made.solve(xs, us, iterations, True)

    variant = Variant(solver, FDDP_ITERATIONS, _nothing, run, lambda: _found(made, made.iter))
    boxed = solver == "SolverBoxFDDP"
    once, binaries = (_nothing, lambda: run(1)), ("libcrocoddyl.",)
    if not boxed:
        return Peer(once, reason="it does not heed the box", binaries=binaries)
    note = "{} of {} rows of its gains are clamped in the first iteration".format(*clamped_rows(problem))
    return Peer(once, (variant,), binaries=binaries, note=note)


def clamped_rows(problem: QuadraticProblem) -> tuple[int, int]:
    """Return how many rows of the gains of BoxFDDP's first iteration are zero, because clamped, and of how many."""
    import crocoddyl

    made, xs, us = shooting_solver(problem, crocoddyl.SolverBoxFDDP)
    made.solve(xs, us, 1, True)
    gains = np.array([np.asarray(K).reshape(problem.nu, problem.nx) for K in made.K])
    return int(np.sum(~np.any(gains != 0.0, axis=2))), problem.horizon * problem.nu


def by_mim_solvers(problem: QuadraticProblem) -> Peer:
    """Return the SQP of mim_solvers with the box as a constraint: one iteration, its QP to a given tolerance."""
    import crocoddyl
    import mim_solvers

    assert crocoddyl.ActionModelLQR  # the import registers the types that mim_solvers takes
    made, xs, us = shooting_solver(problem, mim_solvers.SolverCSQP, constrained=True)
    made.termination_tolerance, made.max_qp_iters, made.eps_rel = TINY_STOP, CSQP_ITERATIONS, 0.0
    made.reset_y = made.reset_rho = True  # every solve begins alike

    def run(tolerance: float) -> object:
        made.eps_abs = tolerance
        return made.solve(xs, us, 1, True)

    variant = Variant("CSQP", CSQP_TOLERANCES, _nothing, run, lambda: _found(made, made.qp_iters))
    return Peer(None, (variant,), binaries=("libmim_solvers.", "libcrocoddyl."))


def shooting_solver(problem: QuadraticProblem, kind: Any, *, constrained: bool = False) -> tuple[Any, Any, Any]:
    """Return a solver of this kind, and the first states and commands as it takes them without conversion."""
    import crocoddyl

    models = [_model(problem, t, constrained) for t in range(problem.horizon + 1)]
    shooting = crocoddyl.ShootingProblem(problem.X[0], models[:-1], models[-1])
    shooting.nthreads = 1
    made = kind(shooting)
    xs, us = type(made.xs)(), type(made.us)()
    xs.extend(list(problem.X))
    us.extend(list(problem.U))
    return made, xs, us


def _model(problem: QuadraticProblem, t: int, constrained: bool) -> Any:
    import crocoddyl

    nx, nu, last = problem.nx, problem.nu, t == problem.horizon
    stage = min(t, problem.horizon - 1)
    A, B, f = problem.F[stage][:, :nx], problem.F[stage][:, nx:], problem.f[stage]
    if last:  # it has no command; Crocoddyl wants a positive definite R all the same
        Q, R, N, q, r = problem.G_last, np.eye(nu), np.zeros((nx, nu)), problem.g_last, np.zeros(nu)
    else:
        G, g = problem.G[t], problem.g[t]
        Q, R, N, q, r = G[:nx, :nx], G[nx:, nx:], G[:nx, nx:], g[:nx], g[nx:]
    if not constrained or last:
        model = crocoddyl.ActionModelLQR(A, B, Q, R, N, f, q, r)
    else:
        rows = np.hstack([np.zeros((nu, nx)), np.eye(nu)])
        none = np.zeros((0, nx + nu))
        model = crocoddyl.ActionModelLQR(A, B, Q, R, N, rows, none, f, q, r, np.zeros(nu), np.zeros(0))
        model.g_lb, model.g_ub = problem.low, problem.high
    model.u_lb, model.u_ub = problem.low, problem.high
    return model


def _found(made: Any, iterations: int) -> Trajectory:
    return np.array([np.asarray(x) for x in made.xs]), np.array([np.asarray(u) for u in made.us]), int(iterations)


def _nothing() -> None:
    """Do nothing: `solve` is given where to start."""
