"""The compiled recursion depends on its problem alone, and not on what was in memory before."""

import ctypes

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler, load_library
from support.planner_problems import random_case

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")

FILL = """
extern "C" __attribute__((noinline)) void fill(double value) {
  volatile double stack[32768];
  for (int i = 0; i < 32768; i++) stack[i] = value;
}
"""


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("nx", [14, 18], ids=["joints", "joints and features"])
def test_a_plan_does_not_depend_on_what_the_stack_held_before(nx):
    fill = load_library("stack", {"stack.cpp": FILL}).fill
    fill.argtypes, fill.restype = [ctypes.c_double], None
    found = []
    for value in (0.0, np.nan):
        case = random_case(7, nx, 7, 12, positions=True, stages=1, change=True)
        planner = case.planner(iterations=2)
        solver, plan = planner.solver, planner.solver.plan
        solver.plan = lambda value=value, plan=plan: (fill(value), plan())
        found.append(case.plan(planner))
        assert solver.has_known_rows()
    for name in ("status", "cost", "x_hat", "u_hat", "K", "k"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))
