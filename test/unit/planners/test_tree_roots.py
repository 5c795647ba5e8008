"""The planner mcts with several trees from one root: what it takes from which tree, and that workers change nothing."""

import dataclasses

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.console.jobs import workers
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.mcts import MctsPlanner, Settings
from mbrl_ros.planners.mcts.roots import Tree, answer
from mbrl_ros.types import PlanStatus
from support.needs import needs
from support.planner_problems import random_case
from support.tree_problems import hills

compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
BACKENDS = ["numpy", pytest.param("compiled", marks=compiler)]
SIMULATIONS, FIXED, STEPS = 40, 3, 6


def built(case, backend="numpy", budget=0.0, **settings):
    """The planner of a case, begun from its start."""
    nx, nu, anywhere = case.cost.nx, case.cost.nu, np.full(case.cost.nx, np.inf)
    common = PlannerSettings(horizon=case.horizon, backend=backend, time_budget=budget)
    limits = case.u_lower, case.u_upper, -anywhere, anywhere
    model = None if case.model is None else of_function(case.model)
    own = Settings(**{"simulations": SIMULATIONS, **settings})
    planner = MctsPlanner(own, PlannerContext(case.cost, common, nx, nu, *limits), model)
    planner.reset(case.x0, case.u_previous)
    return planner


def tree(cost, first, counts):
    empty = np.zeros((1, 1))
    return Tree(cost, empty, empty, first, np.array(counts, dtype=float), np.zeros(len(counts)), 0.0, 1.0, 10, False)


def test_the_first_primitive_with_the_most_visits_decides_and_the_cheaper_of_two_answers_that_begin_with_it():
    """Two primitives are the same in all trees, the third is each tree's own."""
    trees = [tree(5.0, 0, [6, 1, 3]), tree(4.0, 0, [5, 2, 3]), tree(3.0, 2, [1, 4, 5])]
    assert answer(trees, 2, cheapest=False).cost == 3.0  # 4 visits of the first on average, 5 of the third's step
    trees[0] = tree(5.0, 0, [10, 0, 0])
    assert answer(trees, 2, cheapest=False).cost == 4.0  # now 16 / 3
    assert answer(trees, 2, cheapest=True).cost == 3.0
    trees[1] = tree(np.nan, 0, [5, 2, 3])
    assert answer(trees, 2, cheapest=False).cost == 5.0 and answer(trees, 2, cheapest=True).cost == 3.0


def test_the_root_of_all_trees_has_the_sum_of_their_visits_and_the_steps_of_each():
    case = random_case(4, 6, 3, 10)
    planner = built(case, roots=3)
    plan = case.plan(planner, ticks=0)
    root, trees = planner.root, planner._trees
    assert plan.iterations == root.counts.sum() == 3 * SIMULATIONS
    assert root.counts.shape == root.values.shape == (FIXED + 3 * STEPS,) and len(root.laws) == len(root.offsets)
    np.testing.assert_array_equal(root.counts[:FIXED], sum(found.counts[:FIXED] for found in trees))
    steps = root.offsets[FIXED:].reshape(3, STEPS, -1)
    assert min(np.abs(steps[i] - steps[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))) > 0.0
    for i, found in enumerate(trees):
        own = slice(FIXED + i * STEPS, FIXED + (i + 1) * STEPS)
        np.testing.assert_array_equal(root.counts[own], found.counts[FIXED:])
        np.testing.assert_allclose(root.values[own], found.values[FIXED:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_tree_is_that_of_one_root_and_more_trees_find_nothing_worse(backend):
    case = hills(0)
    costs = []
    for roots in (1, 4):
        planner = built(case, backend, roots=roots, answer="best")
        plan = case.plan(planner, ticks=0)
        costs.append(plan.cost)
        if roots == 1:
            counts = planner.root.counts.copy()
    np.testing.assert_array_equal(planner._trees[0].counts, counts)
    assert planner._trees[0].cost == costs[0] > costs[1]
    assert plan.cost == pytest.approx(case.rollout(plan.u_hat)[1], rel=1e-9)


@needs("joblib")
def test_trees_in_workers_give_the_plan_of_trees_one_after_the_other_to_the_last_bit():
    cases = [(random_case(4, 4, 2, 10, model=True, change=True), "numpy")]
    if find_compiler() is not None:
        cases.append((hills(1), "compiled"))

    def plans():
        found = []
        for case, backend in cases:
            planner = built(case, backend, roots=3)
            for tick in range(2):
                plan = case.plan(planner, x0=case.x0 + 0.1 * tick, ticks=tick)
                found += [plan.cost, plan.u_hat.copy(), plan.K.copy(), planner.root.counts, planner.root.values]
        return found

    alone = plans()
    with workers(2):
        for here, there in zip(alone, plans(), strict=True):
            np.testing.assert_array_equal(here, there)


def test_the_budget_of_time_is_for_all_trees():
    case = random_case(4, 6, 3, 10)
    planner, time = built(case, budget=1.35, roots=3), iter(np.arange(1000.0) * 0.1)
    planner.use_clock(lambda: next(time))
    plan = case.plan(planner, ticks=0)
    assert plan.status is PlanStatus.TIME_BUDGET
    assert [found.simulations_done for found in planner._trees] == [5, 5, 5]


def test_trees_that_would_be_the_same_are_refused():
    with pytest.raises(ConfigurationError, match="must be 1 where planner.mcts.steps is 'fixed'"):
        Settings(roots=2, steps="fixed")
    with pytest.raises(ConfigurationError):
        dataclasses.replace(Settings(), roots=0)
