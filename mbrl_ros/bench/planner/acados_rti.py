"""acados' SQP_RTI as a whole tick: it expands the nonlinear problem along the first trajectory and solves the QP.

Its code is generated and compiled for every problem, and kept with this package's compiled code. New dynamics are
parameters of its stages; they are not pushed anew in every tick, which from Python costs as much as the tick.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import io
import os
import sys
from typing import Any

import numpy as np

from ...codegen.library_folder import cache_directory
from ...codegen.symbolic import casadi
from .hpipm import acados_folder
from .peer import MOST_ITERATIONS, Peer, Trajectory, Variant
from .problems import BenchProblem
from .quadratic import LAST_HESSIAN, QuadraticProblem

RTI_TOLERANCES = tuple(10.0**-k for k in range(4, 13))  # of the QP solver; its iterations cannot be set afterwards
COMPILER_FLAGS = "-O3 -march=x86-64-v3"  # the instruction set of the libraries that the wheel brings
SHARED = ("libblasfeo.so", "libhpipm.so", "libqpOASES_e.so", "libacados.so")


def by_acados(problem: BenchProblem, quadratic: QuadraticProblem) -> Peer:
    """Return SQP_RTI with HPIPM, not condensed and partially condensed to a third of the horizon."""
    interface = _interface()
    blocks = (problem.horizon, max(1, problem.horizon // 3))
    variants = tuple(_variant(interface, problem, quadratic, n) for n in blocks)
    return Peer(None, variants, binaries=("libhpipm.", "libblasfeo.", "libacados."))


def _variant(interface: Any, problem: BenchProblem, quadratic: QuadraticProblem, blocks: int) -> Variant:
    solver, H = _solver(interface, problem, quadratic, blocks), problem.horizon
    x0 = quadratic.X[0]

    def prepare() -> None:
        for t in range(H + 1):
            solver.set(t, "x", quadratic.X[t])
            if t < H:
                solver.set(t, "u", quadratic.U[t])

    last: dict[str, float] = {}

    def run(tolerance: float) -> object:
        if last.get("tolerance") != tolerance:
            for name in ("stat", "eq", "ineq", "comp"):
                solver.options_set(f"qp_tol_{name}", tolerance)
            last["tolerance"] = tolerance
        solver.set(0, "lbx", x0)
        solver.set(0, "ubx", x0)
        solver.solve()
        return solver.get(0, "u")

    def found() -> Trajectory:
        X, U = (np.array([solver.get(t, name) for t in range(n)]) for name, n in (("x", H + 1), ("u", H)))
        return X, U, int(np.max(solver.get_stats("qp_iter")))

    return Variant(f"{blocks} blocks", RTI_TOLERANCES, prepare, run, found)


def _solver(interface: Any, problem: BenchProblem, quadratic: QuadraticProblem, blocks: int) -> Any:
    """Generate, compile and load the solver, or load what an earlier call compiled."""
    ocp, parameters = _formulation(interface, problem, quadratic)
    ocp.solver_options.qp_solver_cond_N = blocks
    key = [problem.cost.stage_expansion.serialize(), casadi.CasadiMeta.version(), interface.__file__, COMPILER_FLAGS]
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]
    folder = cache_directory() / f"acados-{digest}" / f"{problem.name}_{problem.horizon}_{blocks}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ocp.code_export_directory = str(folder / "c")
    there = (folder / "done").exists()
    with contextlib.redirect_stdout(io.StringIO()):
        solver = interface.AcadosOcpSolver(
            ocp, json_file=str(folder / "ocp.json"), generate=not there, build=not there, verbose=False
        )
    (folder / "done").touch()
    for t, row in enumerate(parameters):
        solver.set(t, "p", row)
    return solver


def _formulation(interface: Any, problem: BenchProblem, quadratic: QuadraticProblem) -> tuple[Any, Any]:
    """Return the problem as acados takes it, and the parameters (H+1, np) of its stages: F_t, f_t, and the cost's."""
    nx, nu, H, cost = problem.nx, problem.nu, problem.horizon, problem.cost
    x, u, p = casadi.SX.sym("x", nx), casadi.SX.sym("u", nu), casadi.SX.sym("p", cost.np)
    F, f = casadi.SX.sym("F", nx, nx + nu), casadi.SX.sym("f", nx)
    _, lower = cost.stage_expansion(x, casadi.DM.zeros(nu), u, p)
    _, lower_last = cost.terminal_expansion(x, p)
    order = [*range(nx, nx + nu), *range(nx)]  # acados orders [u; x]
    hessian = casadi.tril2symm(lower)[order, order]
    model, ocp = interface.AcadosModel(), interface.AcadosOcp()
    model.name, model.x, model.u = f"bench_{problem.name}_{H}", x, u
    model.p = casadi.vertcat(casadi.vec(F), f, p)
    model.disc_dyn_expr = F @ casadi.vertcat(x, u) + f
    model.cost_expr_ext_cost_0 = model.cost_expr_ext_cost = cost.stage(x, casadi.DM.zeros(nu), u, p)
    model.cost_expr_ext_cost_custom_hess_0 = model.cost_expr_ext_cost_custom_hess = hessian
    model.cost_expr_ext_cost_e = cost.terminal(x, p)
    model.cost_expr_ext_cost_custom_hess_e = casadi.tril2symm(lower_last) + LAST_HESSIAN * casadi.DM.eye(nx)
    ocp.model, ocp.dims.N = model, H
    ocp.cost.cost_type_0 = ocp.cost.cost_type = ocp.cost.cost_type_e = "EXTERNAL"
    stages = np.minimum(np.arange(H + 1), H - 1)
    matrices = quadratic.F[stages].transpose(0, 2, 1).reshape(H + 1, -1)  # by columns
    parameters = np.hstack([matrices, quadratic.f[stages], problem.parameters])
    ocp.parameter_values, ocp.constraints.x0 = parameters[0], quadratic.X[0]
    ocp.constraints.lbu, ocp.constraints.ubu = quadratic.low, quadratic.high
    ocp.constraints.idxbu = np.arange(nu)
    options = ocp.solver_options
    options.tf, options.integrator_type, options.nlp_solver_type = float(H), "DISCRETE", "SQP_RTI"
    options.hessian_approx, options.hpipm_mode = "GAUSS_NEWTON", "SPEED_ABS"
    options.qp_solver, options.qp_solver_iter_max = "PARTIAL_CONDENSING_HPIPM", MOST_ITERATIONS
    options.ext_fun_compile_flags = COMPILER_FLAGS
    return ocp, parameters


def _interface() -> Any:
    """Import acados' Python interface, of a wheel or of a source installation.

    Raises
    ------
    ModuleNotFoundError
        There is none.
    """
    folder = acados_folder()
    try:
        for name in SHARED:
            ctypes.CDLL(str(folder / "lib" / name), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ModuleNotFoundError(f"no acados in {folder} ({error})", name="acados") from error
    beside = folder.parent / "acados_template"  # where the wheel has it
    os.environ.setdefault("ACADOS_SOURCE_DIR", str(folder))
    if beside.is_dir():
        os.environ.setdefault("ACADOS_PYTHON_INTERFACE_PATH", str(beside))
        os.environ.setdefault("TERA_PATH", str(folder / "bin" / "t_renderer"))
        if str(folder.parent) not in sys.path:
            sys.path.append(str(folder.parent))  # last: the wheel's own CasADi must not hide the installed one
    return importlib.import_module("acados_template")
