"""The solvers that are compared, by name.

This package's planner expands the nonlinear problem in its iteration; the others get it already quadratic
(quadratic.py), in their own C++ models, so that they need not evaluate the cost.
"""

from __future__ import annotations

from collections.abc import Callable

from .acados_rti import by_acados
from .ddp_peers import by_crocoddyl, by_mim_solvers
from .hpipm import by_hpipm
from .ours import PLAIN_MARCH, ours
from .peer import Peer
from .problems import BenchProblem
from .qp_peers import by_osqp, by_piqp
from .quadratic import QuadraticProblem

NATIVE_ROW, PLAIN_ROW, BOX_ROW = "ilqr", "ilqr_x86_64", "crocoddyl_box"
OWN_ROWS = (NATIVE_ROW, PLAIN_ROW, "ilqr_vm", "numpy", "refit_ilqr_2")


def whole_tick(problem: BenchProblem) -> Peer | None:
    """Return a whole tick of P7: update, fit and plan; None for other problems."""
    from .tick import refit_and_plan

    return Peer(refit_and_plan(problem), reason="a whole tick") if problem.name == "P7" else None


# None: the solver does not exist for this problem.
SOLVERS: dict[str, Callable[[BenchProblem, QuadraticProblem], Peer | None]] = {
    NATIVE_ROW: lambda problem, quadratic: ours(problem, quadratic, "compiled"),
    PLAIN_ROW: lambda problem, quadratic: ours(problem, quadratic, "compiled", PLAIN_MARCH),
    "ilqr_vm": lambda problem, quadratic: ours(problem, quadratic, "casadi"),
    "numpy": lambda problem, quadratic: ours(problem, quadratic, "numpy"),
    "crocoddyl_fddp": lambda problem, quadratic: by_crocoddyl(quadratic, "SolverFDDP"),
    BOX_ROW: lambda problem, quadratic: by_crocoddyl(quadratic, "SolverBoxFDDP"),
    "osqp": lambda problem, quadratic: by_osqp(quadratic),
    "piqp": lambda problem, quadratic: by_piqp(quadratic),
    "refit_ilqr_2": lambda problem, quadratic: whole_tick(problem),  # update, fit, and two iterations
    "hpipm": lambda problem, quadratic: by_hpipm(quadratic),
    "acados_rti": by_acados,
    "mim_csqp": lambda problem, quadratic: by_mim_solvers(quadratic),
}
# Not part of the `bench` extra: {solver: how it is installed}.
ACADOS = "pip install --no-deps --target DIR comma-deps-acados; export ACADOS_SOURCE_DIR=DIR/acados/install"
EXTRA_SOLVERS = {
    "hpipm": ACADOS,
    "acados_rti": ACADOS,
    "mim_csqp": "pip install 'mbrl_ros[peers]'",
}


def build(name: str, problem: BenchProblem, quadratic: QuadraticProblem) -> Peer | None:
    """Build a solver for a problem; None if there is none of it.

    Raises
    ------
    ModuleNotFoundError, ImportError
        What it needs is not installed.
    CompileError
        It could not be compiled.
    """
    return SOLVERS[name](problem, quadratic)
