"""HPIPM, the interior-point solver of acados, on the quadratic problem, through its C interface."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...types import Array
from .peer import MOST_ITERATIONS, Peer, Trajectory, Variant
from .quadratic import QuadraticProblem

HPIPM_MODES = {"SPEED_ABS": 0, "SPEED": 1, "BALANCE": 2}  # enum hpipm_mode
HPIPM_TOLERANCE = 1e-14  # below what is asked for: the number of iterations ends the solution


def acados_folder() -> Path:
    """Return the folder of an acados installation: $ACADOS_SOURCE_DIR, or the one of the package `acados`.

    Raises
    ------
    ModuleNotFoundError
        There is none.
    """
    named = os.environ.get("ACADOS_SOURCE_DIR")
    if named:
        return Path(named)
    found = importlib.util.find_spec("acados")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'acados', and ACADOS_SOURCE_DIR is not set", name="acados")
    return Path(found.origin).parent / "install"


def load_hpipm() -> ctypes.CDLL:
    """Load the library of an acados installation; ModuleNotFoundError if it is not there."""
    folder = acados_folder() / "lib"
    try:
        ctypes.CDLL(str(folder / "libblasfeo.so"), mode=ctypes.RTLD_GLOBAL)
        return ctypes.CDLL(str(folder / "libhpipm.so"))
    except OSError as error:
        raise ModuleNotFoundError(f"no HPIPM in {folder} ({error})", name="acados") from error


def by_hpipm(problem: QuadraticProblem) -> Peer:
    """Return HPIPM in each of its fast modes with a growing number of iterations, cold."""
    library = load_hpipm()
    variants = tuple(Hpipm(library, problem, mode).variant(name) for name, mode in HPIPM_MODES.items())
    return Peer(None, variants, binaries=("libhpipm.", "libblasfeo."))


class Hpipm:
    """One QP of HPIPM: opaque structures, whose sizes the library tells."""

    def __init__(self, library: ctypes.CDLL, problem: QuadraticProblem, mode: int):
        self._library, self._problem, H = library, problem, problem.horizon
        self._kept: list[Any] = []
        dim = self._structure("dim", H)
        for t in range(H + 1):
            # x_0 is given: it is folded into the first stage's offset and gradient, which has no state
            self._call("dim_set_nx", t, problem.nx if t else 0, dim)
            self._call("dim_set_nu", t, problem.nu if t < H else 0, dim)
            self._call("dim_set_nbu", t, problem.nu if t < H else 0, dim)
        self._qp = self._structure("", dim)
        self._solution = self._structure("sol", dim)
        self._argument = self._structure("ipm_arg", dim)
        self._call("ipm_arg_set_default", mode, self._argument)
        for name in ("stat", "eq", "ineq", "comp"):
            self._call(f"ipm_arg_set_tol_{name}", ctypes.byref(ctypes.c_double(HPIPM_TOLERANCE)), self._argument)
        # room for the statistics of as many iterations as are ever asked for
        self._call("ipm_arg_set_iter_max", ctypes.byref(ctypes.c_int(MOST_ITERATIONS)), self._argument)
        self._workspace = self._structure("ipm_ws", dim, self._argument)
        self._fill()
        self._solve: Callable[..., Any] = library.d_ocp_qp_ipm_solve
        self._limit: Callable[..., Any] = library.d_ocp_qp_ipm_arg_set_iter_max

    def variant(self, name: str) -> Variant:
        """Return it as the bench runs it."""
        return Variant(name, range(1, MOST_ITERATIONS + 1), lambda: None, self.run, self.found)

    def run(self, iterations: int) -> None:
        """Solve with at most so many iterations."""
        self._limit(ctypes.byref(ctypes.c_int(iterations)), self._argument)
        self._solve(self._qp, self._solution, self._argument, self._workspace)

    def found(self) -> Trajectory:
        """Return what was found, and the iterations."""
        problem, done = self._problem, ctypes.c_int()
        X, U = problem.X.copy(), np.empty_like(problem.U)
        for t in range(problem.horizon):
            self._call("sol_get_u", t, self._solution, _address(U[t]))
            self._call("sol_get_x", t + 1, self._solution, _address(X[t + 1]))
        self._call("ipm_get_iter", self._workspace, ctypes.byref(done))
        return X, U, done.value

    def _fill(self) -> None:
        problem, nx, nu, H = self._problem, self._problem.nx, self._problem.nu, self._problem.horizon
        x0 = problem.X[0]
        for t in range(H):
            F, G, g, f = problem.F[t], problem.G[t], problem.g[t], problem.f[t]
            r = g[nx:] + G[nx:, :nx] @ x0 if t == 0 else g[nx:]
            self._set("b", t, f + F[:, :nx] @ x0 if t == 0 else f)
            self._set("B", t, F[:, nx:])
            self._set("R", t, G[nx:, nx:])
            self._set("r", t, r)
            if t:
                self._set("A", t, F[:, :nx])
                self._set("Q", t, G[:nx, :nx])
                self._set("S", t, G[nx:, :nx])
                self._set("q", t, g[:nx])
            index = (ctypes.c_int * nu)(*range(nu))
            self._call("set_idxbu", t, index, self._qp)
            self._set("lbu", t, problem.low)
            self._set("ubu", t, problem.high)
        self._set("Q", H, problem.G_last)
        self._set("q", H, problem.g_last)

    def _set(self, name: str, stage: int, value: Array) -> None:
        self._call(f"set_{name}", stage, _address(np.asfortranarray(value).ravel(order="K")), self._qp)

    def _structure(self, name: str, *arguments: Any) -> Any:
        """Make a structure and its memory; both live as long as this object."""
        prefix = f"{name}_" if name else ""
        sizes = [getattr(self._library, f"d_ocp_qp_{prefix}{kind}") for kind in ("strsize", "memsize")]
        for size in sizes:
            size.restype = ctypes.c_size_t
        structure = ctypes.create_string_buffer(sizes[0]())
        memory = ctypes.create_string_buffer(sizes[1](*arguments) + 64)
        self._kept += [structure, memory]
        self._call(f"{prefix}create", *arguments, structure, memory)
        return structure

    def _call(self, name: str, *arguments: Any) -> None:
        getattr(self._library, f"d_ocp_qp_{name}")(*arguments)


def _address(array: Array) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)
