"""Limits of states: the optimum of hard limits, and plans that keep them."""

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.types import PlanStatus
from support.limited_problems import NAMES, limited

BACKENDS = ([pytest.param("compiled", marks=pytest.mark.slow)] if find_compiler() else []) + ["casadi"]
SEARCH = {"iterations": 500, "tolerance": 1e-9}


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
def test_plan_reaches_the_optimum_of_hard_limits(name, backend):
    # seen: at most 6e-4 over IPOPT; by the relaxed barrier before, 1 to 93 %
    for seed in range(3):
        problem = limited(name, seed)
        plan = problem.case.plan(problem.planner(backend, **SEARCH))
        cost, X, _ = problem.optimum(plan)
        near = np.minimum(problem.x_upper - X[1:], X[1:] - problem.x_lower).min(axis=0)
        assert near.min() < 1e-6  # a limit does bind
        assert plan.status == PlanStatus.CONVERGED
        assert -1e-6 < plan.cost / cost - 1.0 < 2e-3
        assert problem.beyond(plan.x_hat[1:]) == 0.0


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_scale_of_the_cost_changes_nothing(factor):
    reference, scaled = limited("P7", 0), limited("P7", 0).weigh(factor)
    plans = [p.case.plan(p.planner("casadi", **{**SEARCH, "tolerance": 1e-12})) for p in (reference, scaled)]
    assert plans[1].cost == pytest.approx(factor * plans[0].cost, rel=1e-4)
    assert np.abs(plans[1].u_hat - plans[0].u_hat).max() < 1e-2 * reference.case.u_upper.max()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["double integrator", "P7"])
def test_from_a_start_within_the_limits_every_plan_keeps_them(name, backend):
    for seed in range(3):
        problem = limited(name, seed)
        case, planner = problem.case, problem.planner(backend, iterations=1)
        for _ in range(30):
            plan = case.plan(planner, ticks=0)
            assert problem.beyond(plan.x_hat[1:]) == 0.0
            assert plan.usable


@pytest.mark.parametrize("backend", BACKENDS)
def test_plan_comes_back_from_beyond_a_limit_and_moves_on_within(backend):
    problem = limited("double integrator", 0)
    case, high = problem.case, problem.x_upper[1]
    planner = problem.planner(backend, iterations=2)
    case.x0 = np.array([0.0, 1.3 * high])  # faster than allowed, and it takes several ticks to become slower
    rng, speeds, costs = np.random.default_rng(0), [], []
    x, u = case.x0, np.zeros(1)
    for _ in range(60):
        plan = planner.plan(x, case.dynamics, case.parameters, u)
        assert plan.usable
        u = plan.u_hat[0].copy()
        x = case.dynamics.predict(x, u) + rng.standard_normal(2) * [0.0, 0.003]
        speeds.append(x[1])
        costs.append(plan.cost)
    within = np.array(speeds) <= 1.05 * high
    assert within[5:].all()
    assert costs[-1] < 0.1 * costs[0]  # it arrives
