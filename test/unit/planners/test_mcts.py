"""The planner mcts: optima of small trees and its regret, widening, the compiled search against its specification."""

import math

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.mcts import MctsPlanner, Settings, build
from mbrl_ros.types import PlanStatus
from support.planner_problems import random_case
from support.tree_problems import PLAN, all_costs, barrier, cliff, greedy, hills, random_landscape, searcher

compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
COMPILED = pytest.param("compiled", marks=compiler)
BACKENDS = [COMPILED, "numpy"]
DEFAULTS = ["plan", "lqr", "hold"]
CASES = [
    (4, 2, 12, {}),
    (5, 2, 9, {"change": True, "stages": 1}),
    (6, 3, 10, {"nonlinear": True, "bound": 0.3}),
    (4, 2, 10, {"model": True, "change": True}),
    (14, 7, 20, {"nonlinear": True, "change": True, "bound": 0.5}),
]


def built(case, backend="numpy", budget=0.0, **settings):
    """The planner of a case, begun from its start."""
    nx, nu, anywhere = case.cost.nx, case.cost.nu, np.full(case.cost.nx, np.inf)
    common = PlannerSettings(horizon=case.horizon, backend=backend, time_budget=budget)
    limits = case.u_lower, case.u_upper, -anywhere, anywhere
    model = None if case.model is None else of_function(case.model)
    planner = MctsPlanner(Settings(**settings), PlannerContext(case.cost, common, nx, nu, *limits), model)
    planner.reset(case.x0, case.u_previous)
    return planner


# --- the search ---


def regret(seed, simulations):
    """How far the answer of a search is above the optimum, in units of the range of all costs."""
    memory, search = random_landscape(seed, "compiled", simulations=simulations, exploration=0.5)
    costs = all_costs(memory, search)
    memory.laws[-1] = PLAN
    search.search()
    best = min(costs.values())
    return (search.numbers.cost - best) / (max(costs.values()) - best)


@compiler
def test_the_simple_regret_falls_with_the_simulations_until_the_best_sequence_is_found():
    """Of 340 sequences, over 30 random landscapes."""
    regrets = np.array([[regret(seed, n) for n in (10, 40, 160, 2560)] for seed in range(30)])
    mean = regrets.mean(axis=0)
    assert (np.diff(mean) < 0.0).all(), mean
    assert mean[0] > 0.1 and mean[-1] < 0.01, mean
    assert (regrets[:, -1] < 1e-12).sum() >= 24


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_best_answer_is_the_cheapest_of_all_sequences_once_all_are_tried(backend):
    memory, search = random_landscape(3, backend, horizon=6, simulations=3000, exploration=2.0, best=True)
    costs = all_costs(memory, search)
    memory.laws[-1] = PLAN
    search.search()
    assert search.numbers.cost == pytest.approx(min(costs.values()), rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_costs_at_first_is_found_where_greedy_search_fails(backend):
    """The way to the goal leads over a hill: any first step costs more than to stay."""
    offsets = np.tile(np.array([-0.25, 0.0, 0.25])[:, None], (4, 1, 1))
    memory, search = searcher(barrier(), 16, 4, offsets, backend, simulations=300)
    stays, best = search.roll((), PLAN), min(all_costs(memory, search).values())
    assert search.roll((0,), PLAN) > stays and search.roll((2,), PLAN) > stays
    assert search.roll(greedy(memory, search), PLAN) >= stays
    memory.laws[-1] = PLAN
    search.search()
    assert search.numbers.cost == pytest.approx(best, rel=1e-9) and best < 0.8 * stays
    assert memory.X_new[-1, 0] == pytest.approx(2.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cost_that_is_not_finite_never_wins(backend):
    """Many sequences lead where the cost is NaN, and the best one close by."""
    offsets = np.tile(np.array([0.5, 0.2, -0.1])[:, None], (3, 1, 1))
    memory, search = searcher(cliff(), 6, 2, offsets, backend, simulations=200, exploration=1.0)
    costs = all_costs(memory, search)
    assert 0.2 < np.mean(np.isnan(list(costs.values()))) < 0.8
    memory.laws[-1] = PLAN
    for best in (0, 1):
        search.numbers.best_answer = best
        search.search()
        assert search.numbers.cost < 0.9 * search.roll((), PLAN)
        search.search()
        assert not best or search.numbers.cost == pytest.approx(min(c for c in costs.values() if c == c))
        assert np.isfinite(memory.X_new).all() and memory.X_new.max() <= 1.0


@pytest.mark.parametrize("widening, growth", [(1.0, 0.3), (2.0, 0.5)])
def test_progressive_widening_bounds_the_children_of_every_node(widening, growth):
    case = random_case(0, 4, 2, 12)
    planner = built(case, simulations=200, primitives=15, widening=widening, growth=growth)
    case.plan(planner, ticks=0)
    nodes = [planner.search.root, *planner.search.nodes]
    inner = [node for node in nodes if node.added]
    assert len(inner) > 10 and len({node.added for node in inner}) > 2
    for node in inner:
        assert node.added <= max(1, math.ceil(widening * node.visits**growth))
        assert node.visits == sum(child.visits for child in node.children) + (node is not planner.search.root)
    assert sum(node.visits > 0 for node in nodes[1:]) <= 200


@pytest.mark.slow(but=1)
@compiler
@pytest.mark.parametrize("settings", [{}, {"default": "hold", "primitives": 20}, {"answer": "best", "length": 3}])
@pytest.mark.parametrize("nx, nu, horizon, options", CASES)
def test_the_compiled_search_builds_the_tree_of_its_specification(nx, nu, horizon, options, settings):
    case = random_case(nx, nx, nu, horizon, **options)
    ours, specified = (built(case, backend, simulations=150, **settings) for backend in ("compiled", "numpy"))
    assert (ours.backend, specified.backend) == ("compiled", "numpy")
    plan, expected = case.plan(ours, ticks=0), case.plan(specified, ticks=0)
    np.testing.assert_array_equal(ours.root.counts, specified.root.counts)
    np.testing.assert_allclose(ours.root.values, specified.root.values, atol=1e-6)
    assert plan.status is expected.status and plan.cost == pytest.approx(expected.cost, rel=1e-9)
    np.testing.assert_allclose(plan.u_hat, expected.u_hat, atol=1e-7)


# --- the planner ---


def test_the_seed_decides():
    case = random_case(2, 5, 2, 10, nonlinear=True)

    def plans(seed):
        planner = built(case, simulations=100, seed=seed)
        return [case.plan(planner, x0=case.x0 + 0.1 * k).u_hat.copy() for k in range(3)]

    np.testing.assert_array_equal(plans(1), plans(1))
    assert np.abs(np.array(plans(1)) - plans(2)).max() > 1e-3


@pytest.mark.parametrize(
    "backend, default", [("numpy", "lqr"), *(pytest.param("compiled", d, marks=compiler) for d in DEFAULTS)]
)
@pytest.mark.parametrize("nx, nu, horizon, options", CASES[:4])
def test_a_plan_keeps_its_limits_and_is_never_worse_than_the_shifted_last_one(
    nx, nu, horizon, options, backend, default
):
    case, rng = random_case(5, nx, nu, horizon, **options), np.random.default_rng(0)
    planner = built(case, backend, simulations=40, default=default)
    case.plan(planner, ticks=0)
    start = case.x0
    for tick in range(6):
        case.x0 = start + 0.3 * rng.standard_normal(nx)
        shifted = np.minimum(np.arange(horizon) + 1, horizon - 1)
        _, last = case.rollout(planner.U[shifted].copy())
        plan = case.plan(planner)
        assert plan.cost <= last + 1e-9 * abs(last), tick
        assert (plan.u_hat >= case.u_lower).all() and (plan.u_hat <= case.u_upper).all()
        assert plan.cost == pytest.approx(case.rollout(plan.u_hat)[1], rel=1e-9)


@pytest.mark.slow
@compiler
def test_it_finds_the_way_between_hills_where_steps_downhill_end_before_one():
    """Twelve random problems; iLQR searches until it converges, the tree search 15 times from its last plan."""
    ours, downhill = [], []
    for seed in range(12):
        case = hills(seed)
        planner = built(case, "compiled", simulations=300)
        ours.append(min(case.plan(planner, ticks=0).cost for _ in range(15)))
        downhill.append(case.plan(case.planner("compiled", iterations=300), ticks=0).cost)
    ratio = np.array(downhill) / ours
    assert ratio.min() > 0.9 and ratio.mean() > 1.3 and (ratio > 1.1).sum() >= 5, ratio


def test_the_counts_of_the_root_are_its_simulations_and_its_values_lie_between_0_and_1():
    case = random_case(4, 6, 3, 10)
    planner = built(case, simulations=150)
    plan = case.plan(planner, ticks=0)
    root = planner.root
    assert root.counts.sum() == plan.iterations == 150
    assert root.laws.shape == (9, 3) and root.offsets.shape == (9, 3)
    assert (root.values >= 0.0).all() and (root.values <= 1.0).all()
    assert np.ptp(root.values) > 0.05


def test_the_budget_of_time_ends_a_search():
    case = random_case(4, 6, 3, 10)
    planner, time = built(case, budget=1.0, simulations=60), iter(np.arange(1000.0) * 0.1)
    planner.use_clock(lambda: next(time))
    plan = case.plan(planner, ticks=0)
    assert plan.status is PlanStatus.TIME_BUDGET and plan.iterations == 11
    planner.update_settings(planner.settings.replace(time_budget=0.0))
    assert case.plan(planner, ticks=0).iterations == 60


def test_settings_that_cannot_be_used_are_refused():
    with pytest.raises(ConfigurationError, match="must not name more than all primitives"):
        Settings(primitives=2)
    case = random_case(4, 6, 3, 10)
    anywhere = np.full(6, np.inf)
    limits = case.u_lower, case.u_upper, -anywhere, anywhere
    context = PlannerContext(case.cost, PlannerSettings(horizon=10, backend="numpy"), 6, 3, *limits)
    with pytest.raises(ConfigurationError, match="'planner.mcts.nonlinear' plans through a nonlinear prior"):
        build(Settings(nonlinear=True), context)
