"""`planner.clamping`: where only commands at their limits are clamped, the optimum is the same."""

import numpy as np
import pytest

from mbrl_ros.bench.planner import problems
from mbrl_ros.bench.planner.ours import exact
from mbrl_ros.bench.planner.quadratic import quadratise, residual
from mbrl_ros.planners.ilqr.box_qp import UNLIMITED, Clamping, step_limits
from mbrl_ros.types import PlanStatus
from support.planner_problems import random_case


@pytest.mark.parametrize(("name", "iterations"), [("P2", {"step": 3, "limit": 2}), ("P7", {"step": 9, "limit": 4})])
def test_a_box_limited_quadratic_problem_is_solved_in_fewer_iterations(name, iterations):
    problem = quadratise(problems.make(name, 30))
    for clamping, needed in iterations.items():
        variant, left = exact(problem, "numpy", clamping), []
        for n in (needed - 1, needed):
            variant.prepare()
            variant.run(n)
            X, U, _ = variant.found()
            left.append(residual(problem, X, U).largest)
        print(name, clamping, left)
        assert left[0] > 1e-6 > 1e-12 > left[1]


def test_both_converge_to_the_same_plan():
    for seed in range(6):
        case, plans = random_case(seed, 6, 2, 20, nonlinear=True, change=True, bound=0.2), []
        for clamping in ("step", "limit"):
            plan = case.plan(case.planner("numpy", iterations=100, tolerance=1e-13, clamping=clamping), ticks=0)
            assert plan.status == PlanStatus.CONVERGED
            plans.append(plan)
        assert plans[0].cost == pytest.approx(plans[1].cost, rel=1e-9)
        assert np.abs(plans[0].u_hat - plans[1].u_hat).max() < 1e-4
        assert (np.abs(plans[0].u_hat) == case.u_upper).mean() > 0.2


def test_limits_of_the_step():
    U, lower, upper = np.array([[-1.0, 0.5, 2.0]]), np.full(3, -1.0), np.full(3, 2.0)
    low, high = step_limits(U, lower, upper, Clamping.LIMIT)
    assert (low == [[0.0, -UNLIMITED, -UNLIMITED]]).all() and (high == [[UNLIMITED, UNLIMITED, 0.0]]).all()
    low, high = step_limits(U, lower, upper, Clamping.STEP)
    assert (low == lower - U).all() and (high == upper - U).all()
    low, high = step_limits(U, lower, upper, Clamping.NONE)
    assert (low == -UNLIMITED).all() and (high == UNLIMITED).all()
