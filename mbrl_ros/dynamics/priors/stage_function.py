"""A nonlinear model and its Jacobian at every stage of a horizon, as fast as the machine allows.

CasADi writes g(x, u) -> (delta, d delta / d[x; u]) as C, which the compiler of the planners turns into a library
(once per robot; it is cached). Without a compiler the same functions run in CasADi's virtual machine, some thirty
times slower. Straight code of ten thousand lines compiles three times faster with -O1 than with -O3 and runs a third
slower; matrix products (MX) need -O3.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array

Expression: TypeAlias = Any  # casadi.SX or casadi.MX, one kind in one function

_DRIVER = """
extern "C" int evaluate_mean(const double* x, const double* u, double* y) {{
  static thread_local double w[{mean_w} + 1]; static thread_local casadi_int iw[{mean_iw} + 1];
  const double* arg[{mean_arg} + 1] = {{x, u}}; double* res[{mean_res} + 1] = {{y}};
  return mean(arg, res, iw, w, 0);
}}
extern "C" int evaluate_stages(int stages, const double* X, const double* U, double* Y, double* J) {{
  static thread_local double w[{both_w} + 1]; static thread_local casadi_int iw[{both_iw} + 1];
  for (int t = 0; t < stages; ++t) {{
    const double* arg[{both_arg} + 1] = {{X + t * {nx}, U + t * {nu}}};
    double* res[{both_res} + 1] = {{Y + t * {ny}, J + t * {ny} * ({nx} + {nu})}};
    if (both(arg, res, iw, w, 0)) return 1;
  }}
  return 0;
}}
"""


class StageFunction:
    """y (ny,) and dy/d[x; u] (ny, nx+nu) of CasADi expressions in the symbols x (nx,), u (nu,), SX or MX.

    jacobian: of y, None: derived; optimize: the compiler's level.
    """

    def __init__(
        self,
        name: str,
        x: Expression,
        u: Expression,
        y: Expression,
        jacobian: Expression | None = None,
        optimize: str = "-O1",
    ):
        self.nx, self.nu, self.ny = x.numel(), u.numel(), y.numel()
        if jacobian is None:
            jacobian = casadi.jacobian(y, casadi.vertcat(x, u))
        # row-major for numpy: the columns of the transpose
        both = casadi.cse([casadi.densify(y), casadi.densify(jacobian).T])
        self._mean = casadi.Function("mean", [x, u], casadi.cse([casadi.densify(y)]))
        self._both = casadi.Function("both", [x, u], both)
        self._library = _compiled(name, self._mean, self._both, self.nx, self.nu, self.ny, optimize)
        self._x, self._u, self._y = np.zeros(self.nx), np.zeros(self.nu), np.zeros(self.ny)
        self._J = np.zeros((self.ny, self.nx + self.nu))
        self._buffers = [
            _buffer(self._mean, (self._x, self._u), (self._y,)),
            _buffer(self._both, (self._x, self._u), (self._y, self._J)),
        ]

    def mean(self, x: Array, u: Array) -> Array:
        """Return y (ny,)."""
        self._x[:], self._u[:] = x, u
        if self._library:
            self._library.evaluate_mean(*map(_pointer, (self._x, self._u, self._y)))
        else:
            self._buffers[0][1]()
        y: Array = self._y.copy()
        return y

    def linearize(self, X: Array, U: Array) -> tuple[Array, Array]:
        """Return y (T, ny) and the Jacobian (T, ny, nx+nu) at X (T, nx), U (T, nu)."""
        stages = len(X)
        Y, J = np.empty((stages, self.ny)), np.empty((stages, self.ny, self.nx + self.nu))
        if self._library:
            X, U = np.ascontiguousarray(X, dtype=np.float64), np.ascontiguousarray(U, dtype=np.float64)
            self._library.evaluate_stages(stages, *map(_pointer, (X, U, Y, J)))
            return Y, J
        for t in range(stages):
            self._x[:], self._u[:] = X[t], U[t]
            self._buffers[1][1]()
            Y[t], J[t] = self._y, self._J
        return Y, J


def _buffer(
    function: casadi.Function, inputs: tuple[Array, ...], outputs: tuple[Array, ...]
) -> tuple[casadi.FunctionBuffer, Callable[[], None]]:
    """Bind the function to these arrays: (what must be kept, the call)."""
    buffer, evaluate = function.buffer()
    for arrays, assign in ((inputs, buffer.set_arg), (outputs, buffer.set_res)):
        for i, array in enumerate(arrays):
            assign(i, memoryview(array.data))  # type: ignore[call-arg]  # CasADi declares C's signature
    return buffer, evaluate


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _compiled(
    name: str, mean: casadi.Function, both: casadi.Function, nx: int, nu: int, ny: int, optimize: str
) -> ctypes.PyDLL | None:
    from ...codegen.compiler import load_library

    with tempfile.TemporaryDirectory() as folder:
        generator = casadi.CodeGenerator("stages", {"with_header": False})
        generator.add(mean)
        generator.add(both)
        generator.generate(folder + "/")
        source = Path(folder, "stages.c").read_text()
    sizes = {
        f"{f.name()}_{what}": size
        for f in (mean, both)
        for what, size in zip(("arg", "res", "iw", "w"), (f.sz_arg(), f.sz_res(), f.sz_iw(), f.sz_w()), strict=True)
    }
    driver = _DRIVER.format(nx=nx, nu=nu, ny=ny, **sizes)
    return load_library(name, {"stages.cpp": source + driver}, flags=(optimize,))
