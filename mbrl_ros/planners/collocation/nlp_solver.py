"""CasADi's interfaces to IPOPT and FATROP: one solver, built once, called through fixed memory and silent.

IPOPT (Waechter & Biegler, Mathematical Programming 2006) is a primal-dual interior point with a general sparse
factorization; FATROP (Vanroye, Sathya, De Schutter & Decre, IROS 2023) is the same method with a Riccati recursion in
the place of the factorization. FATROP takes no multipliers: warm, it starts from states and commands alone.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array
from ..ilqr.evaluator import Buffered
from .transcription import Transcription

NLP_SOLVERS = ("fatrop", "ipopt")
WARM_INTERIOR = 1e-4  # how far from its bounds a warm start is moved, relative to them
_QUIET = {"print_time": False, "calc_lam_p": False, "error_on_fail": False, "show_eval_warnings": False}
_LIMITED = ("Maximum_Iterations_Exceeded", "Maximum_WallTime_Exceeded", "Solved_To_Acceptable_Level")


class Outcome(enum.Enum):
    """How a solver ended: within its tolerance, at its limit of iterations, or without a solution.

    FATROP does not tell a problem without a solution from one that it could not solve; both are FAILED.
    """

    SOLVED = "solved"
    LIMITED = "limited"
    FAILED = "failed"


@dataclass(frozen=True, eq=False, slots=True)
class Point:
    """Variables w (n,), multipliers lam_w (n,) of their bounds and lam_g (m,) of the constraints; may be written to."""

    w: Array
    lam_w: Array
    lam_g: Array


class NlpSolver:
    """One of NLP_SOLVERS for one transcription.

    Parameters
    ----------
    transcription
        The problem.
    name
        One of NLP_SOLVERS.
    iterations, tolerance
        It ends after so many, or with optimality conditions met to the tolerance [scaled cost].
    barrier
        Weight mu of the barrier at the beginning; None: as for a cold start.
    """

    def __init__(
        self, transcription: Transcription, name: str, iterations: int, tolerance: float, barrier: float | None = None
    ):
        self.iterations, self._fatrop = iterations, name == "fatrop"
        numbers: dict[str, Any] = {"max_iter": iterations, "tol": tolerance, "print_level": 0}
        if barrier is not None:
            numbers["mu_init"] = barrier
        options = _fatrop(transcription, numbers) if self._fatrop else _ipopt(transcription, numbers, barrier)
        solver = casadi.nlpsol("plan", name, transcription.nlp, {**_QUIET, **options})
        n, m, p = solver.size1_in("x0"), solver.size1_in("lam_g0"), solver.size1_in("p")
        self.point = Point(np.zeros(n), np.zeros(n), np.zeros(m))
        results: list[tuple[int, ...] | Array] = [self.point.w, (1,), (m,), self.point.lam_w, self.point.lam_g, (p,)]
        self._call = Buffered(solver, [(n,), (p,), (n,), (n,), (m,), (m,), (n,), (m,)], results)
        self.done = 0

    def solve(self, start: Point, p: Array, lower: Array, upper: Array) -> Outcome:
        """Solve with parameters p from `start`, within limits (n,) of the variables; see `point` and `done`."""
        try:
            self._call(start.w, p, lower, upper, 0.0, 0.0, start.lam_w, start.lam_g)
        except RuntimeError:  # CasADi's errors have no type of their own
            self.done = 0
            return Outcome.FAILED
        stats = self._call.stats()
        self.done = int(stats["iter_count"])
        if not all(np.isfinite(array).all() for array in (self.point.w, self.point.lam_w, self.point.lam_g)):
            return Outcome.FAILED
        if not self._fatrop:
            return ipopt_outcome(stats)
        if stats["success"]:
            return Outcome.SOLVED
        return Outcome.LIMITED if self.done >= self.iterations else Outcome.FAILED


def ipopt_outcome(stats: Mapping[str, Any]) -> Outcome:
    """Return how IPOPT ended, from its statistics; a point that is only acceptable is not a solution."""
    if stats["return_status"] in _LIMITED:
        return Outcome.LIMITED
    return Outcome.SOLVED if stats["success"] else Outcome.FAILED


def _arguments(transcription: Transcription) -> list[casadi.MX]:
    function = transcription.hess_l
    return [casadi.MX.sym(function.name_in(i), function.size1_in(i)) for i in range(function.n_in())]


def _ipopt(transcription: Transcription, numbers: dict[str, Any], barrier: float | None) -> dict[str, Any]:
    given = _arguments(transcription)
    upper = casadi.triu(transcription.hess_l(*given))
    names = ["x", "p", "lam_f", "lam_g"]
    options = {**numbers, "sb": "yes", "bound_relax_factor": 0.0}
    if barrier is not None:
        options["warm_start_init_point"] = "yes"
        parts = ("bound_push", "bound_frac", "slack_bound_push", "slack_bound_frac", "mult_bound_push")
        options |= {f"warm_start_{part}": WARM_INTERIOR for part in parts}
    return {
        "hess_lag": casadi.Function("nlp_hess_l", given, [upper], names, ["hess_gamma_x_x"]),
        "jac_g": transcription.jac_g,
        "grad_f": transcription.grad_f,
        "ipopt": options,
    }


def _fatrop(transcription: Transcription, numbers: dict[str, Any]) -> dict[str, Any]:
    x, p, lam_f, lam_g = given = _arguments(transcription)
    whole, (_, gradient), (_, jacobian) = (
        transcription.hess_l(*given),
        transcription.grad_f(x, p),
        transcription.jac_g(x, p),
    )
    slope = lam_f * gradient + casadi.mtimes(jacobian.T, lam_g)
    names, results = ["x", "p", "lam_f", "lam_g"], ["grad_gamma_x", "hess_gamma_x_x"]
    functions = {  # found there instead of being derived from the expressions
        "nlp_hess_l": casadi.Function("nlp_hess_l", given, [slope, whole], names, results),
        "nlp_jac_g": transcription.jac_g,
        "nlp_grad_f": casadi.Function("nlp_grad_f", [x, p], [gradient], ["x", "p"], ["grad_f_x"]),
    }
    if "mu_init" in numbers:
        numbers = {**numbers, "bound_push": WARM_INTERIOR, "bound_frac": WARM_INTERIOR}
    return {
        "cache": functions,
        "structure_detection": "manual",
        "N": len(transcription.nx) - 1,
        "nx": list(transcription.nx),
        "nu": list(transcription.nu),
        "ng": [0] * len(transcription.nx),
        "fatrop": numbers,
    }
