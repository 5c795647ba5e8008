"""A nonlinear model and its Jacobian at every stage of a horizon, as fast as the machine allows.

CasADi writes g(x, u) -> (delta, d delta / d[x; u]) as C, which the compiler of the planners turns into a library
(once per robot; it is cached). Without a compiler the same functions run in CasADi's virtual machine, some thirty
times slower. Straight code of ten thousand lines compiles three times faster with -O1 than with -O3 and runs a third
slower; matrix products (MX) need -O3.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ...codegen.compiler import load_library
from ...codegen.numeric import c_source, work_sizes
from ...codegen.symbolic import casadi
from ...codegen.units import Units
from ...exceptions import CompileError
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
        if jacobian is None:
            jacobian = casadi.jacobian(y, casadi.vertcat(x, u))
        # row-major for numpy: the columns of the transpose
        outputs = casadi.cse([casadi.densify(y), casadi.densify(jacobian).T])
        mean = casadi.Function("mean", [x, u], casadi.cse([casadi.densify(y)]))
        both = casadi.Function("both", [x, u], outputs)
        sizes = {"nx": x.numel(), "nu": u.numel(), "ny": y.numel()}
        self._begin({"name": name, "optimize": optimize, **sizes, "source": _source(mean, both, sizes)})
        self._buffers = [
            _buffer(mean, (self._x, self._u), (self._y,)),
            _buffer(both, (self._x, self._u), (self._y, self._J)),
        ]

    @classmethod
    def of_description(cls, description: dict[str, Any]) -> StageFunction:
        """Return the function of what `description` holds; CompileError where it cannot be compiled."""
        self = cls.__new__(cls)
        self._begin(description)
        if self._library is None:
            raise CompileError(f"'{description['name']}' cannot be compiled, and there is no CasADi in its place")
        return self

    def _begin(self, description: dict[str, Any]) -> None:
        self.description = description
        self.nx, self.nu, self.ny = (description[size] for size in ("nx", "nu", "ny"))
        flags = (description["optimize"],)
        self._library = load_library(description["name"], {"stages.cpp": description["source"]}, flags=flags)
        self._x, self._u, self._y = np.zeros(self.nx), np.zeros(self.nu), np.zeros(self.ny)
        self._J = np.zeros((self.ny, self.nx + self.nu))

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


def _source(mean: casadi.Function, both: casadi.Function, sizes: dict[str, int]) -> str:
    """Return the C of both functions and of what calls them."""
    memory = {f"{f.name()}_{what}": size for f in (mean, both) for what, size in work_sizes(f).items()}
    return c_source([mean, both]) + _DRIVER.format(**sizes, **memory)


def kept_stage_function(
    units: Units, role: str, inputs: Mapping[str, Any], build: Callable[[], StageFunction]
) -> StageFunction:
    """Return the function that `build` returns, or where `units` keep it, that."""
    return units.kept(role, inputs, build, lambda function: function.description, StageFunction.of_description)
