"""A function of a robot with numpy arrays in and out: as CasADi evaluates it, or compiled from the C that it wrote.

A function has inputs (n_i,) and dense matrices (r_j, c_j) as outputs.
"""

from __future__ import annotations

import ctypes
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..exceptions import CompileError, MbrlError, ShapeError
from ..types import Array, checked
from .compiler import load_library
from .symbolic import casadi

NUMERIC = "numeric"  # the kind of a description
# CasADi's matrices are column-major: an output (r, c) lies in memory as (c, r).
_MANY_DRIVER = """
extern "C" int {name}_many(long long count, const double* const* in, const long long* steps, double* const* out) {{
  static thread_local double w[{w} + 1]; static thread_local casadi_int iw[{iw} + 1];
  const double* arg[{arg} + 1]; double* res[{res} + 1];
  const long long sizes[] = {{{sizes}}};
  for (long long t = 0; t < count; ++t) {{
    for (int i = 0; i < {inputs}; ++i) arg[i] = in[i] + t * steps[i];
    for (int j = 0; j < {outputs}; ++j) res[j] = out[j] + t * sizes[j];
    if ({name}(arg, res, iw, w, 0)) return 1;
  }}
  return 0;
}}
"""


class NumericFunction(Protocol):
    """A function that can be evaluated."""

    def __call__(self, *arguments: Array) -> list[Array]:
        """Return the outputs (r_j, c_j) at arguments (n_i,)."""

    def many(self, *arguments: Array) -> list[Array]:
        """Return the outputs (T, r_j, c_j) at arguments (T, n_i)."""

    def fixed(self, given: Sequence[Array], results: Sequence[Array]) -> Callable[[], object]:
        """Return what evaluates from the memory `given` into `results`, contiguous arrays of float64.

        One evaluation with given (n_i,), results (c_j, r_j); or T with given (T, n_i), results (T, c_j, r_j), where an
        input (n_i,) is the same in all.
        """


class InterpretedFunction:
    """A `NumericFunction` by CasADi's virtual machine."""

    def __init__(self, function: casadi.Function):
        self.function = function

    def __call__(self, *arguments: Array) -> list[Array]:
        """See `NumericFunction`."""
        return [np.array(value) for value in self.function.call(list(arguments))]

    def many(self, *arguments: Array) -> list[Array]:
        """See `NumericFunction`."""
        function, T = self.function, len(arguments[0])
        outputs = [np.array(value).T for value in function.call([argument.T for argument in arguments])]
        shapes = [(T, *reversed(function.size_out(j))) for j in range(function.n_out())]
        return [value.reshape(shape).swapaxes(1, 2) for value, shape in zip(outputs, shapes, strict=True)]

    def fixed(self, given: Sequence[Array], results: Sequence[Array]) -> Callable[[], object]:
        """See `NumericFunction`."""
        function, counts = self.function, {len(array) for array in given if array.ndim > 1}
        if counts:
            shared = [i for i, array in enumerate(given) if array.ndim == 1]
            function = function.map("many", "serial", counts.pop(), shared, [])
        buffer: Any  # CasADi's stubs know only the signature of C++
        buffer, evaluate = function.buffer()
        for i, array in enumerate(given):
            buffer.set_arg(i, array.data)
        for j, array in enumerate(results):
            buffer.set_res(j, array.data)

        def call(_kept: object = (buffer, given, results)) -> object:  # `evaluate` keeps none of them
            return evaluate()

        return call


class CompiledFunction:
    """A `NumericFunction` that a compiler has made of `description`, of `describe`.

    Raises CompileError where there is neither a compiler nor a library.
    """

    def __init__(self, description: Mapping[str, Any]):
        name, self._inputs, self._outputs = description["name"], description["inputs"], description["outputs"]
        library = load_library(name, sources_of_description(description))
        if library is None:
            raise CompileError(f"the function '{name}' cannot be compiled, and there is no CasADi in its place")
        self._function = getattr(library, f"{name}_many")

    def __call__(self, *arguments: Array) -> list[Array]:
        """See `NumericFunction`."""
        given = [np.ascontiguousarray(a, dtype=float).reshape(n) for a, n in zip(arguments, self._inputs, strict=True)]
        results = [np.empty((c, r)) for r, c in self._outputs]
        self.fixed(given, results)()
        return [result.T for result in results]

    def many(self, *arguments: Array) -> list[Array]:
        """See `NumericFunction`."""
        T = len(arguments[0])
        given = [
            checked(f"argument {i}", np.ascontiguousarray(argument, dtype=float), (T, self._inputs[i]))
            for i, argument in enumerate(arguments)
        ]
        results = [np.empty((T, c, r)) for r, c in self._outputs]
        self.fixed(given, results)()
        return [result.swapaxes(1, 2) for result in results]

    def fixed(self, given: Sequence[Array], results: Sequence[Array]) -> Callable[[], object]:
        """See `NumericFunction`."""
        self._check(given, results)
        count = max((len(array) for array in given if array.ndim > 1), default=1)
        steps = (ctypes.c_longlong * (len(given) + 1))(*(array.shape[-1] * (array.ndim > 1) for array in given))
        inputs, outputs = (
            (ctypes.c_void_p * (len(arrays) + 1))(*(a.ctypes.data for a in arrays)) for arrays in (given, results)
        )
        function, number = self._function, ctypes.c_longlong(count)

        def call(_kept: object = (given, results)) -> object:
            return function(number, inputs, steps, outputs)

        return call

    def _check(self, given: Sequence[Array], results: Sequence[Array]) -> None:
        """Raise ShapeError for memory that the compiled function would read or write beyond its end."""
        counts = {len(array) for array in given if array.ndim > 1}
        many = (max(counts),) if counts else ()
        if len(counts) > 1 or (len(given), len(results)) != (len(self._inputs), len(self._outputs)):
            raise ShapeError("arguments", (len(self._inputs), len(self._outputs)), (len(given), len(results)))
        for i, (array, size) in enumerate(zip(given, self._inputs, strict=True)):
            if array.shape not in ((size,), (*many, size)):
                raise ShapeError(f"argument {i}", (*many, size), array.shape)
        for j, (array, (r, c)) in enumerate(zip(results, self._outputs, strict=True)):
            if array.size != math.prod((*many, c, r)):
                raise ShapeError(f"result {j}", (*many, c, r), array.shape)
        if any(array.dtype != np.float64 or not array.flags.c_contiguous for array in (*given, *results)):
            raise TypeError("arguments and results must be contiguous arrays of float64")


def describe(function: NumericFunction) -> dict[str, Any]:
    """Return what `CompiledFunction` is made of."""
    assert isinstance(function, InterpretedFunction)  # what is compiled already is not described again
    f = function.function
    if any(not f.sparsity_out(j).is_dense() for j in range(f.n_out())):
        raise MbrlError(f"{f.name()} has outputs that are not dense")
    return {
        "kind": NUMERIC,
        "name": f.name(),
        "inputs": [f.numel_in(i) for i in range(f.n_in())],
        "outputs": [list(f.size_out(j)) for j in range(f.n_out())],
        "source": c_source([f]),
        "memory": work_sizes(f),
    }


def sources_of_description(description: Mapping[str, Any]) -> dict[str, str]:
    """Return {file name: text} of a function's description."""
    sizes = ", ".join(str(r * c) for r, c in description["outputs"])
    driver = _MANY_DRIVER.format(
        name=description["name"],
        sizes=sizes,
        inputs=len(description["inputs"]),
        outputs=len(description["outputs"]),
        **description["memory"],
    )
    return {"function.cpp": description["source"] + driver}


def work_sizes(function: casadi.Function) -> dict[str, int]:
    """Return how much memory a call of the function's C needs."""
    return {"arg": function.sz_arg(), "res": function.sz_res(), "iw": function.sz_iw(), "w": function.sz_w()}


def c_source(functions: Sequence[casadi.Function]) -> str:
    """Return the C of CasADi functions."""
    with tempfile.TemporaryDirectory() as folder:
        generator = casadi.CodeGenerator("functions", {"with_header": False})
        for function in functions:
            generator.add(function)
        generator.generate(folder + "/")
        return Path(folder, "functions.c").read_text(encoding="utf-8")
