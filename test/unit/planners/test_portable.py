"""The kernel's other vector widths, as older or other processors would compile it."""

import platform

import numpy as np
import pytest

from mbrl_ros.codegen import compiler
from mbrl_ros.codegen.processor import processor
from support.planner_problems import random_case

pytestmark = pytest.mark.skipif(
    compiler.find_compiler() is None or platform.machine() not in ("x86_64", "AMD64"),
    reason="needs a compiler for x86-64",
)


VARIANTS = {
    "avx2": ("-mavx2", "-mfma", "-DLIBMVEC", "-lmvec", "-lm"),
    "sse2": ("-lm",),
    "eight lanes, on any processor": ("-D__AVX512F__", "-lm"),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_every_vector_width_gives_the_same_plan(variant, monkeypatch):
    if variant[0] == "-mavx2" and "avx2" not in processor():
        pytest.skip("this processor has no AVX2")
    case = random_case(3, 9, 4, 13, nonlinear=True, change=True, bound=0.3)
    monkeypatch.setattr(compiler, "FLAG_VARIANTS", (variant,))
    compiled, reference = case.planner("compiled", iterations=3), case.planner("numpy", iterations=3)
    for _ in range(2):
        a, b = case.plan(compiled), case.plan(reference)
        for name in ("x_hat", "u_hat", "K", "K_u", "k", "Q_uu"):
            given, expected = getattr(a, name), getattr(b, name)
            assert np.abs(given - expected).max() <= 1e-8 * (1.0 + np.abs(expected).max()), name
