"""DDP with commands on their bounds: swing-up of a pendulum and of a cart-pole, 20 starts from the seed 16 each."""

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.planners.ilqr.box_qp import NotPositiveDefinite, box_step
from mbrl_ros.types import PlanStatus
from support import swing_up

BACKEND = "compiled" if find_compiler() else "casadi"
compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")


def planners(case, **settings):
    """Gauss-Newton's planner and DDP's."""
    settings = {"iterations": 1000, "tolerance": 1e-9, **settings}
    return [case.planner(BACKEND, second_order=second_order, **settings) for second_order in (False, True)]


@pytest.mark.slow(but=1)
@compiler
@pytest.mark.parametrize("problem", [swing_up.pendulum, swing_up.cart_pole])
def test_ddp_needs_no_more_iterations_than_gauss_newton(problem):
    case = problem()
    iterations, at_bound = [], []
    both = planners(case)
    for x0, command in swing_up.starts(case):
        plans = [swing_up.solve(case, planner, x0, command) for planner in both]
        assert plans[1].status == PlanStatus.CONVERGED
        iterations.append([plan.iterations for plan in plans])
        at_bound.append(np.mean(np.abs(plans[1].u_hat) == case.u_upper))
    gauss_newton, ddp = np.median(iterations, axis=0)
    print(problem.__name__, "median iterations: Gauss-Newton", gauss_newton, "DDP", ddp)
    print("largest: Gauss-Newton, DDP", np.max(iterations, axis=0), "share of commands at a bound", np.median(at_bound))
    assert ddp <= 1.1 * gauss_newton
    assert np.median(at_bound) > 0.1


@compiler
def test_pendulum_from_rest_converges_quadratically_with_commands_on_their_bounds():
    case = swing_up.pendulum()
    gauss_newton, ddp = (swing_up.solve(case, p, np.zeros(2), np.array([0.1])) for p in planners(case))
    print("iterations: Gauss-Newton", gauss_newton.iterations, "DDP", ddp.iterations)
    assert ddp.status == PlanStatus.CONVERGED and ddp.iterations <= 90
    assert ddp.cost <= gauss_newton.cost * (1.0 + 1e-6)
    # tolerance 0 goes on to rounding; the plans after ever fewer iterations are its predecessors
    _, planner = planners(case, tolerance=0.0, iterations=ddp.iterations + 5)
    best = swing_up.solve(case, planner, np.zeros(2), np.array([0.1])).u_hat.copy()
    assert np.mean(np.abs(best) == case.u_upper) > 0.5
    errors = []
    for n in range(1, ddp.iterations + 4):
        planner.update_settings(planner.settings.replace(iterations=n))
        plan = swing_up.solve(case, planner, np.zeros(2), np.array([0.1]))
        errors.append(np.abs(plan.u_hat - best).max())
    print("errors [N m]:", *(f"{error:.1e}" for error in errors[-7:]))
    last = [error for error in errors if error > 1e-13][-3:]
    assert last[-1] < 1e-9
    for error, following in zip(last, last[1:], strict=False):
        assert following <= 0.01 * error**2 + 1e-13


def test_box_step_asks_only_for_the_free_commands_to_be_convex():
    rng = np.random.default_rng(0)
    indefinite = failed = 0
    for _ in range(2000):
        n = int(rng.integers(1, 8))
        A = rng.standard_normal((n, n))
        Q = A + A.T + 2.0 * rng.uniform(0, 2) * np.sqrt(n) * np.eye(n)
        q = 10.0 ** rng.uniform(-1, 1.5) * rng.standard_normal(n)
        lower, upper = -rng.uniform(0, 1, n) * (rng.random(n) > 0.3), rng.uniform(0, 1, n) * (rng.random(n) > 0.3)
        convex = np.linalg.eigvalsh(Q)[0] > 0.0
        Q_uy = rng.standard_normal((n, 3))
        try:
            k, K = box_step(Q, q, lower, upper, Q_uy)
        except NotPositiveDefinite:
            failed += 1
            assert not convex
            continue
        indefinite += not convex
        gradient, free = q + Q @ k, K.any(axis=1)
        assert (lower <= k).all() and (k <= upper).all()
        # a step along -gradient leads back to k after clamping, and it is no worse than no step
        assert np.abs(k - np.clip(k - gradient, lower, upper)).max() < 1e-9
        assert q @ k + 0.5 * k @ Q @ k <= 1e-12
        assert np.linalg.eigvalsh(Q[np.ix_(free, free)]).min(initial=1.0) > 0.0
        assert np.abs(Q[np.ix_(free, free)] @ K[free] + Q_uy[free]).max(initial=0.0) < 1e-6
        if not convex:
            with pytest.raises(NotPositiveDefinite):
                box_step(Q, q, lower, upper, Q_uy, convex=True)
    assert indefinite > 100 and failed > 100


@compiler
@pytest.mark.parametrize("backend", [pytest.param("compiled", marks=pytest.mark.slow), "casadi"])
@pytest.mark.parametrize("problem, iterations", [(swing_up.pendulum, 52), (swing_up.cart_pole, 3)])
def test_iterations_with_indefinite_curvature_equal_the_specification(backend, problem, iterations):
    case = problem()
    start = swing_up.solve(case, planners(case, iterations=iterations)[1], case.x0, case.u_previous).u_hat
    other, reference = (
        case.planner(name, second_order=True, iterations=1, tolerance=1e-9) for name in (backend, "numpy")
    )
    other.U[:] = reference.U[:] = start
    passes, backward = [], reference.solver.backward

    def watched(second_order=False):
        passes.append("second order" if second_order else "Gauss-Newton")
        answer = backward(second_order)
        if second_order and np.linalg.eigvalsh(reference.solver.new_Q_uu).min() <= 0.0:
            passes.append("indefinite")
        return answer

    reference.solver.backward = watched
    for _ in range(9):
        a, b = case.plan(other, ticks=0), case.plan(reference, ticks=0)
        assert (a.status, a.iterations) == (b.status, b.iterations)
        for name in ("x_hat", "u_hat", "K", "k", "Q_uu", "cost"):
            given, expected = getattr(a, name), getattr(b, name)
            assert np.abs(given - expected).max() <= 1e-6 * (1.0 + np.abs(expected).max()), name
    assert {"second order", "Gauss-Newton"} <= set(passes)
    if problem is swing_up.pendulum:  # the last iterations' bounds hold commands along negative curvature
        assert passes[-2:] == ["second order", "indefinite"]
