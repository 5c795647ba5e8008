"""The compiled kernel and the CasADi chain against their specification in numpy, the kernel on every intermediate."""

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from support.planner_problems import random_case

compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
BACKENDS = [pytest.param("compiled", marks=compiler), "casadi"]

# nx, nu, horizon, options: sizes below, at and above a vector register, odd horizons, every part of the algorithm.
# Cases that differ in `positions`, `bound` and `stages` alone share a kernel.
CASES = [
    (2, 1, 5, {}),
    (3, 2, 9, {"change": True}),
    (8, 3, 8, {"nonlinear": True, "stages": 1}),
    (9, 4, 17, {"nonlinear": True, "change": True, "bound": 0.3}),
    (14, 7, 12, {"change": True, "bound": 0.2}),
    (6, 2, 11, {"model": True, "nonlinear": True}),
    (5, 3, 7, {"model": True, "change": True, "stages": 1}),
    (2, 1, 6, {"positions": True}),
    (6, 3, 9, {"positions": True, "change": True, "nonlinear": True, "bound": 0.3}),
    (8, 3, 7, {"positions": True, "nonlinear": True}),
    (14, 7, 12, {"positions": True, "change": True, "bound": 0.2, "stages": 1}),
    (18, 9, 6, {"positions": True, "change": True}),
    (10, 2, 9, {"positions": True, "change": True, "bound": 0.3, "stages": 1}),
    (26, 7, 5, {"positions": True, "change": True}),
    (12, 4, 6, {"positions": True, "model": True, "change": True}),
]


@pytest.mark.slow(but=2)
@compiler
@pytest.mark.parametrize("case, several", [*((case, False) for case in CASES), (CASES[4], True), (CASES[-1], True)])
def test_every_intermediate_equals_the_specification(case, several):
    nx, nu, horizon, options = case
    case = random_case(100 * nx + nu, nx, nu, horizon, **options)
    compiled, reference = (
        case.planner(name, iterations=1, multiple_shooting=several) for name in ("compiled", "numpy")
    )
    positions = options.get("positions", False)
    nx, nu, nv = case.cost.nx, case.cost.nu, case.cost.nu if case.cost.uses_u_previous else 0
    trace = compiled.solver.trace(reference.solver.problem)
    for _ in range(3):
        a, b = case.plan(compiled, ticks=0), case.plan(reference, ticks=0)
        assert a.status == b.status and compiled.solver.has_known_rows() == positions
        order = [
            *range(nx),
            *range(nx + nu, nx + nu + nv),
            *range(nx, nx + nu),
        ]  # [x; u; v] as [x; v; u] of the reference
        y = order[: nx + nv]
        for t, (Q, q, V, s) in enumerate(reference.solver.stages):
            same(trace["Q_u"][t][:, order], Q[nx + nv :], f"Q_u at stage {t}")
            same(trace["q"][t][order], q, f"q at stage {t}")
            same(trace["V"][t][np.ix_(y, y)], V, f"V at stage {t}")
            same(trace["s"][t][y], s, f"s at stage {t}")
        for name in ("x_hat", "u_hat", "K", "K_u", "k", "Q_uu", "cost"):
            same(getattr(a, name), getattr(b, name), name)


# settings, and whether there are a cost on changes, known rows, a nonlinear model; known rows alone share a kernel
OPTIONS = [
    ({}, "change positions"),
    ({}, "change"),
    ({}, "model"),
    ({"second_order": True}, "model"),
    ({"second_order": True}, "model change positions"),
    ({"state_limits": True}, "change"),
    ({"state_limits": True}, "change positions"),
    ({"kl_bound": 0.5}, ""),
    ({"kl_bound": 0.5}, "change"),
    ({"kl_bound": 0.5}, "change positions"),
    ({"second_order": True, "kl_bound": 0.5}, "model change"),
    ({"multiple_shooting": True}, "change"),
    ({"multiple_shooting": True}, "change positions"),
    ({"multiple_shooting": True}, "model change"),
    ({"clamping": "limit"}, "change"),
    ({"clamping": "limit"}, "change positions"),
    ({"clamping": "limit", "state_limits": True}, ""),
]


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("settings, form", OPTIONS)
def test_options_equal_the_specification(backend, settings, form):
    form = dict.fromkeys(form.split(), True)
    case = random_case(3, 6, 3, 13, nonlinear=True, **form)
    limits = {}
    if "state_limits" in settings:
        limits = dict(x_lower=np.r_[-0.4, -np.inf, np.full(4, -0.3)], x_upper=np.r_[0.4, 0.2, np.full(4, np.inf)])
    other, reference = (case.planner(name, iterations=2, **settings, **limits) for name in (backend, "numpy"))
    for tick in range(4):
        a, b = case.plan(other, ticks=tick % 3), case.plan(reference, ticks=tick % 3)
        assert a.status == b.status
        for name in ("x_hat", "u_hat", "K", "K_u", "k", "Q_uu", "cost"):
            same(getattr(a, name), getattr(b, name), f"{name} in tick {tick}", 1e-7)


def same(given, expected, name, tolerance=1e-9):
    scale = 1.0 + np.abs(expected).max()
    assert np.abs(given - expected).max() <= tolerance * scale, name


@pytest.mark.slow(but=1)
@compiler
@pytest.mark.parametrize("kind", ["changed in place", "every other column", "float32"])
def test_parameters_are_read_where_they_lie_or_copied(kind):
    case = random_case(3, 6, 2, 11, nonlinear=True)
    planners = [case.planner(backend, iterations=3) for backend in ("compiled", "numpy")]
    wide = np.zeros((case.parameters.shape[0], 2 * case.parameters.shape[1]))
    given = {"every other column": wide[:, ::2], "float32": np.zeros(case.parameters.shape, dtype=np.float32)}.get(
        kind, case.parameters.copy()
    )
    u_hat = []
    for factor in (1.0, 1.3, 0.7):
        given[:] = factor * case.parameters
        a, b = (p.plan(case.x0, case.dynamics, given, case.u_previous, 0) for p in planners)
        same(a.u_hat, b.u_hat, "u_hat")
        u_hat.append(a.u_hat.copy())
    assert np.abs(u_hat[0] - u_hat[1]).max() > 1e-6
