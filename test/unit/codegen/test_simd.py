"""CasADi functions over SIMD lanes."""

import ctypes

import casadi
import numpy as np
import pytest

from mbrl_ros.codegen import simd
from mbrl_ros.codegen.compiler import find_compiler, lane_source, load_library

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
    lane = lane_source()
    given, results = rng.normal(size=(2, n)), []
    for whole in (10**6, 100):
        monkeypatch.setattr(simd, "WHOLE_LENGTH", whole)
        monkeypatch.setattr(simd, "PART_LENGTH", 60)
        text = simd.emit(function, "function")
        assert ("function_1" in text) == (whole == 100)
        head = f"constexpr int N = {n}, M = {n};\n"
        library = load_library("parts", {"parts.cpp": f'#include "lane.h"\n{head}{text}{CALL}', **lane}, ("-O0",))
        result = np.zeros(n)
        library.call(*(ctypes.c_void_p(a.ctypes.data) for a in (given[0], given[1], result)))
        results.append(result)
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], function(*given).full()[:, 0], rtol=1e-12)


@pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
def test_sine_and_cosine_of_a_variable_are_one_call_that_is_right_for_every_argument():
    rng = np.random.default_rng(1)
    x = np.r_[
        rng.uniform(-4.0, 4.0, 30), 0.5 * np.pi * np.arange(-8, 9), rng.uniform(-1e5, 1e5, 10), 1e7, -1e300, np.nan
    ]
    n = len(x)
    a, b = casadi.SX.sym("x", n), casadi.SX.sym("y", n)
    function = casadi.Function("function", [a, b], [casadi.vertcat(casadi.sin(a), casadi.cos(a))])
    text = simd.emit(function, "function")
    assert text.count("sincos(") == n and "= sin(" not in text and "= cos(" not in text
    lane = lane_source()
    source = f'#include "lane.h"\nconstexpr int N = {n}, M = {2 * n};\n{text}{CALL}'
    library = load_library("pairs", {"pairs.cpp": source, **lane}, ("-O0",))
    found = np.zeros(2 * n)
    library.call(*(ctypes.c_void_p(array.ctypes.data) for array in (x, x, found)))
    wanted = np.r_[np.sin(x), np.cos(x)]
    np.testing.assert_array_less(np.abs(found - wanted)[~np.isnan(wanted)], 2.5e-16)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))


def test_a_variable_that_is_written_in_between_makes_no_pair():
    x = casadi.SX.sym("x", 2)
    function = casadi.Function("function", [x], [casadi.sin(x[0]) + casadi.cos(x[1]), casadi.cos(casadi.sin(x[0]))])
    assert "sincos(" not in simd.emit(function, "function")
