"""The planners that sample: against exact optima, their specification, and what they promise of every plan."""

import itertools

import casadi
import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config import registry
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.sampling.noise import mixing
from mbrl_ros.planners.sampling.planner import populations_of
from mbrl_ros.types import LinearGaussianDynamics, PlanStatus
from support.planner_problems import Case, random_case

compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
ALL_ALIKE = {"std": 0.3, "least_noise": 1.0, "std_growth": 2.0, "elites": 0.1}  # as in the method's first form
NAMES = ("cem", "mppi", "random_shooting")
CASES = [
    (4, 1, 5, {}),
    (3, 2, 9, {"change": True, "stages": 1}),
    (9, 4, 17, {"nonlinear": True, "change": True, "bound": 0.3}),
    (6, 2, 11, {"model": True, "nonlinear": True}),
    (5, 3, 7, {"model": True, "change": True, "stages": 1}),
]


def built(name, case, backend="numpy", common=(), **own):
    """The planner `name` for a case, begun from its start; a case's model is planned through."""
    module = registry.load("planner", name)
    unlimited, nu = np.full(case.cost.nx, np.inf), case.cost.nu
    settings = PlannerSettings(horizon=case.horizon, backend=backend, **dict(common))
    model = None if case.model is None else (lambda: of_function(case.model))
    limits = case.u_lower, case.u_upper, -unlimited, unlimited
    context = PlannerContext(case.cost, settings, case.cost.nx, nu, *limits, model)
    planner = module.build(module.Settings(nonlinear=case.model is not None, **own), context)
    planner.reset(case.x0, case.u_previous)
    return planner


def point_mass(terms, x0, horizon, dt=0.1) -> Case:
    """x' = x + dt u with |u| <= 2, from x0, with costs terms(x, u)."""
    x, u, v = casadi.SX.sym("x"), casadi.SX.sym("u"), casadi.SX.sym("v")
    dynamics = LinearGaussianDynamics(np.array([[[1.0, dt]]]), np.zeros((1, 1)), np.zeros((1, 1, 1)))
    limit = np.array([2.0])
    return Case(CostModel(x, u, v, terms(x, u)), dynamics, np.array([x0]), np.zeros(1), -limit, limit, horizon)


# --- how good the plans are ---


@pytest.mark.slow(but=2)
@pytest.mark.parametrize("name, share, own", [("cem", 1e-3, ALL_ALIKE), ("mppi", 4e-3, {})])
@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_of_a_linear_quadratic_problem_is_found(name, share, own, seed):
    """`share` of what the optimum is better than the beginning may be left; limits bind."""
    case = random_case(seed, 4, 2, 12, change=True, bound=1.0)
    optimum = case.plan(case.planner("numpy", iterations=300), ticks=0)
    assert optimum.status is PlanStatus.CONVERGED
    assert ((optimum.u_hat <= case.u_lower) | (optimum.u_hat >= case.u_upper)).any()
    _, begin = case.rollout(np.repeat(case.u_previous[None], 12, axis=0))
    planner = built(name, case, noise_exponent=0.5, seed=seed, rollouts=4000, **own)
    for _ in range(20):
        plan = case.plan(planner, ticks=0)
    assert plan.cost >= optimum.cost - 1e-9 * abs(optimum.cost)
    assert plan.cost - optimum.cost <= share * (begin - optimum.cost)


@pytest.mark.parametrize("name, factor", [("cem", 1.3), ("mppi", 1.1), ("random_shooting", 1.5)])
def test_of_two_minima_the_better_one_is_found_where_gradient_shooting_ends_in_the_worse(name, factor):
    def terms(x, u):
        wells = Term(x**2 - 1.0, StateCostSettings(weight=4.0))
        tilt = Term(x - 1.0, StateCostSettings(weight=0.5))
        return [("wells", wells), ("tilt", tilt), ("effort", Term(0.05 * u, CostSettings()))]

    case = point_mass(terms, -0.3, 20)
    gradient = case.plan(case.planner("numpy", iterations=300), ticks=0)
    assert gradient.status is PlanStatus.CONVERGED and gradient.x_hat[-1, 0] < -0.8
    planner = built(name, case, std=1.0, seed=3)
    for _ in range(5):
        plan = case.plan(planner, ticks=0)
    assert plan.x_hat[-1, 0] > 0.8 and plan.cost < 0.7 * gradient.cost
    refined = case.planner("numpy", iterations=300)
    refined.memory.u_hat[1:], refined.memory.x_hat[:] = plan.u_hat, plan.x_hat
    best = case.plan(refined, ticks=0)  # the gradient leads down from there
    assert best.status is PlanStatus.CONVERGED and best.cost <= plan.cost < factor * best.cost


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_no_plan_is_worse_than_the_last_one_shifted_by_the_ticks_that_passed(name, seed):
    case = random_case(seed, 5, 2, 9, nonlinear=True, change=True)
    planner, rng = built(name, case, seed=seed, rollouts=40), np.random.default_rng(seed)
    case.plan(planner, ticks=0)
    kept = 0
    for ticks in (0, 1, 2, 1, 1, 12, 0, 1):
        case.x0 = case.x0 + 0.01 * rng.standard_normal(5)
        shifted = planner.U[np.minimum(np.arange(9) + ticks, 8)].copy()
        _, cost = case.rollout(shifted)
        plan = case.plan(planner, ticks=ticks)
        assert plan.cost <= cost * (1.0 + 1e-12)
        if plan.status is PlanStatus.NO_IMPROVEMENT:
            kept += 1
            np.testing.assert_array_equal(plan.u_hat, shifted)
        else:
            assert plan.status is PlanStatus.MAX_ITERATIONS and plan.cost < cost
    assert kept < 8


# --- what is promised of every plan ---


@pytest.mark.parametrize("name", NAMES)
def test_limits_that_change_in_every_tick_are_never_violated(name):
    case = random_case(4, 4, 3, 8, bound=0.5)
    planner, rng = built(name, case, std=2.0, rollouts=60), np.random.default_rng(0)
    at_limit = 0
    for _ in range(20):
        middle, half = rng.uniform(-0.3, 0.3, 3), rng.uniform(0.0, 0.2, 3)
        planner.limit_commands(middle - half, middle + half)
        plan = case.plan(planner)
        assert plan.usable
        assert (plan.u_hat >= middle - half).all() and (plan.u_hat <= middle + half).all()
        clamped = (plan.u_hat == middle - half) | (plan.u_hat == middle + half)
        assert not plan.K[clamped].any()
        at_limit += clamped.sum()
    assert at_limit > 0


@pytest.mark.slow(but=3)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["numpy", pytest.param("compiled", marks=compiler)])
def test_a_sample_whose_cost_is_not_finite_cannot_win(name, backend):
    """The cost is cheapest just where it stops to exist: log(x + 1) of x below -1."""

    def terms(x, u):
        return [("goal", Term(casadi.log(x + 1.0) + 3.0, StateCostSettings())), ("u", Term(u, CostSettings(1e-3)))]

    case = point_mass(terms, -0.5, 10)
    planner = built(name, case, backend, std=1.0)
    down, stay = np.full((10, 1), -2.0), np.zeros((10, 1))
    planner.memory.take_problem(case.x0, case.dynamics, case.parameters, case.u_previous)
    assert np.isnan(planner.rollouts.states(down)[1]) and np.isfinite(planner.rollouts.states(stay)[1])
    for _ in range(5):
        plan = case.plan(planner)
        assert plan.usable and np.isfinite(plan.cost) and np.isfinite(plan.x_hat).all()
        assert (plan.x_hat > -1.0).all()
    assert plan.cost < case.rollout(stay)[1]
    kept = plan.u_hat.copy()
    plan = case.plan(planner, ticks=0, x0=np.array([-5.0]))  # no command leads back to where the cost is defined
    assert plan.status is PlanStatus.DIVERGED and not plan.usable
    np.testing.assert_array_equal(plan.u_hat, kept)
    assert case.plan(planner, ticks=0).usable


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_tells_the_plans_and_a_reset_begins_anew(name):
    case = random_case(2, 5, 2, 10, nonlinear=True)

    def plans(planner):
        return np.array([case.plan(planner, x0=case.x0 + 0.1 * k).u_hat.copy() for k in range(3)])

    first, other, third = (built(name, case, seed=seed, rollouts=50) for seed in (1, 1, 2))
    expected = plans(first)
    np.testing.assert_array_equal(plans(other), expected)
    first.reset(case.x0, case.u_previous)
    np.testing.assert_array_equal(plans(first), expected)
    assert np.abs(plans(third) - expected).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_the_time_budget_ends_the_rounds_and_is_said(name):
    case = random_case(2, 4, 2, 8)
    for budget, rounds in ((0.0, 5), (10.0, 5), (2.5, 2), (1e-3, 1)):
        planner = built(name, case, common={"time_budget": budget}, iterations=5)
        planner._clock = itertools.count().__next__  # a round takes 1 s
        plan = case.plan(planner)
        assert plan.iterations == rounds and plan.usable
        assert (plan.status is PlanStatus.TIME_BUDGET) == (rounds < 5)
    planner.update_settings(PlannerSettings())  # no budget
    assert case.plan(planner).iterations == 5


# --- compiled against specification ---


@pytest.mark.slow(but=1)
@compiler
@pytest.mark.parametrize("nx, nu, horizon, options", CASES)
@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_rollouts_equal_the_specification(nx, nu, horizon, options, threads):
    case = random_case(10 * nx + nu, nx, nu, horizon, **options)
    U = np.random.default_rng(0).uniform(case.u_lower, case.u_upper, (37, horizon, nu))
    costs = []
    for backend in ("compiled", "numpy"):
        planner = built("random_shooting", case, backend, rollouts=38, iterations=1, threads=threads)
        planner.memory.take_problem(case.x0, case.dynamics, case.parameters, case.u_previous)
        assert planner.rollouts.begin(case.u_lower, case.u_upper)
        costs.append(planner.rollouts.costs(U).copy())
        X, cost = planner.rollouts.states(U[5])
        expected = case.rollout(U[5])
        np.testing.assert_allclose(X, expected[0], rtol=1e-10, atol=1e-10)
        assert cost == pytest.approx(expected[1], rel=1e-10)
    np.testing.assert_allclose(costs[0], costs[1], rtol=1e-10)


@pytest.mark.slow(but=1)
@compiler
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nx, nu, horizon, options", CASES[2:4])
def test_compiled_plans_equal_the_specification_and_do_not_depend_on_threads(name, nx, nu, horizon, options):
    case = random_case(3, nx, nu, horizon, **options)
    compiled, threaded, specified = (
        built(name, case, backend, rollouts=100, threads=threads)
        for backend, threads in (("compiled", 1), ("compiled", 4), ("numpy", 1))
    )
    for _ in range(3):
        a, b, c = (case.plan(planner) for planner in (compiled, threaded, specified))
        assert a.status == b.status == c.status and a.cost == b.cost
        np.testing.assert_array_equal(a.u_hat, b.u_hat)
        for array in ("u_hat", "x_hat", "K", "K_u", "Q_uu", "cost"):
            expected = getattr(c, array)
            assert np.abs(getattr(a, array) - expected).max() <= 1e-8 * (1.0 + np.abs(expected).max()), array


# --- the parts ---


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("horizon", [30, 31])
def test_the_noise_has_unit_variance_and_the_spectrum_that_is_asked_for(exponent, horizon):
    noise = mixing(horizon, exponent) @ np.random.default_rng(0).standard_normal((4000, horizon, 3))
    np.testing.assert_allclose(noise.var(axis=(0, 2)), 1.0, atol=0.06)
    power = (np.abs(np.fft.rfft(noise, axis=1)) ** 2).mean(axis=(0, 2))[1:]
    frequency = np.arange(1, len(power) + 1)
    slope = np.polyfit(np.log(frequency), np.log(power), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.03)
    np.testing.assert_allclose(power * frequency**exponent / power[0], 1.0, atol=0.12)
    across = np.corrcoef(noise[:, 0].T)
    assert np.abs(across - np.eye(3)).max() < 0.06  # commands are independent


def test_the_rollouts_of_a_tick_are_divided_among_its_rounds():
    assert sum(populations_of(500, 4)) == 499 and len(populations_of(500, 4)) == 4
    shrinking = populations_of(500, 5, 0.8)
    assert sum(shrinking) == 499 and all(a > b for a, b in itertools.pairwise(shrinking))
    np.testing.assert_allclose(np.divide(shrinking[1:], shrinking[:-1]), 0.8, atol=0.01)
    assert min(populations_of(4, 10)) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_planning_through_a_nonlinear_prior_needs_one(name):
    case = random_case(0, 4, 2, 6)
    module = registry.load("planner", name)
    unlimited = np.full(4, np.inf)
    limits = case.u_lower, case.u_upper, -unlimited, unlimited
    context = PlannerContext(case.cost, PlannerSettings(horizon=6, backend="numpy"), 4, 2, *limits)
    with pytest.raises(ConfigurationError, match="nonlinear prior"):
        module.build(module.Settings(nonlinear=True), context)
    assert module.build(module.Settings(), context).model is None


def test_the_standard_deviation_of_cem_is_bounded():
    with pytest.raises(ConfigurationError, match="at most std"):
        registry.load("planner", "cem").Settings(std=0.1, least_std=0.2)
