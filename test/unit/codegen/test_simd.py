"""CasADi functions over SIMD lanes."""

import ctypes
from importlib.resources import files

import casadi
import numpy as np
import pytest

from mbrl_ros.codegen import simd
from mbrl_ros.codegen.compiler import find_compiler, load_library

CALL = """
extern "C" void call(const double* x, const double* y, double* z) {
  Lane a[N], b[N], c[M];
  for (int i = 0; i < N; i++) a[i] = Lane(x[i]), b[i] = Lane(y[i]);
  const Lane* in[2] = {a, b};
  Lane* out[1] = {c};
  function(in, out);
  for (int i = 0; i < M; i++) z[i] = c[i].v[0];
}
"""


@pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
def test_a_function_written_in_parts_gives_the_same_numbers(monkeypatch):
    rng, n = np.random.default_rng(0), 6
    x, y = casadi.SX.sym("x", n), casadi.SX.sym("y", n)
    z = casadi.SX(rng.normal(size=(n, n))) @ casadi.sin(x) + y * casadi.exp(-(x**2))
    for _ in range(3):
        z = casadi.SX(rng.normal(size=(n, n))) @ z / (1.0 + casadi.dot(z, z)) + x
    function = casadi.Function("function", [x, y], [z], {"cse": True})
    lane = (files("mbrl_ros.planners.ilqr") / "lane.h").read_text()
    given, results = rng.normal(size=(2, n)), []
    for whole in (10**6, 100):
        monkeypatch.setattr(simd, "WHOLE_LENGTH", whole)
        monkeypatch.setattr(simd, "PART_LENGTH", 60)
        text = simd.emit(function, "function")
        assert ("function_1" in text) == (whole == 100)
        head = f"constexpr int N = {n}, M = {n};\n"
        library = load_library(
            "parts", {"parts.cpp": f'#include "lane.h"\n{head}{text}{CALL}', "lane.h": lane}, ("-O0",)
        )
        result = np.zeros(n)
        library.call(*(ctypes.c_void_p(a.ctypes.data) for a in (given[0], given[1], result)))
        results.append(result)
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], function(*given).full()[:, 0], rtol=1e-12)
