"""The local controller about a plan that has none: against iLQR's, by finite differences of the optimum, at limits."""

import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.feedback import PlanMemory
from mbrl_ros.types import LinearGaussianDynamics, PlanStatus
from support.planner_problems import random_case

compiler = pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
BACKENDS = [pytest.param("compiled", marks=(compiler, pytest.mark.slow)), "casadi", "numpy"]
CASES = [
    (4, 1, 5, {}),
    (3, 2, 9, {"change": True, "stages": 1}),
    (9, 4, 17, {"nonlinear": True, "change": True, "bound": 0.3}),
    (14, 7, 12, {"change": True, "bound": 0.2}),
    (6, 2, 11, {"model": True, "nonlinear": True}),
]


def memory_of(case, backend, **settings):
    unlimited = np.full(case.cost.nx, np.inf)
    settings = PlannerSettings(horizon=case.horizon, backend=backend, **settings)
    limits = case.u_lower, case.u_upper, -unlimited, unlimited
    model = None if case.model is None else of_function(case.model)
    memory = PlanMemory(PlannerContext(case.cost, settings, case.cost.nx, case.cost.nu, *limits), model)
    memory.reset(case.x0, case.u_previous)
    return memory


def take(memory, case, X, U):
    limits = case.u_lower, case.u_upper
    return memory.take(X, U, case.dynamics, case.parameters, case.u_previous, *limits)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("nx, nu, horizon, options", CASES)
def test_the_gains_of_an_optimal_plan_are_those_of_ilqr(backend, nx, nu, horizon, options):
    case = random_case(7, nx, nu, horizon, **options)
    planner = case.planner("numpy", iterations=300, temperature=0.5)
    case.plan(planner, ticks=0)
    expected = case.plan(planner, ticks=0)  # expanded at the optimum
    memory = memory_of(case, backend, temperature=0.5)
    assert take(memory, case, expected.x_hat, expected.u_hat) is None
    plan = memory.plan(expected.cost, PlanStatus.CONVERGED, 1)
    np.testing.assert_array_equal(plan.u_hat, expected.u_hat)
    for name in ("K", "K_u", "Q_uu"):
        wanted = getattr(expected, name)
        assert np.abs(getattr(plan, name) - wanted).max() <= 1e-6 * (1.0 + np.abs(wanted).max()), name


@pytest.mark.parametrize("change", [False, True])
def test_the_gain_of_the_first_stage_is_the_derivative_of_the_optimum(change):
    """For a quadratic problem du_0/dx_0, commands at limits among those of the plan."""
    case = random_case(3, 5, 3, 9, change=change, bound=0.4)
    planner = case.planner("numpy")
    plan = case.plan(planner, ticks=0)
    memory = memory_of(case, "numpy")
    take(memory, case, plan.x_hat.copy(), plan.u_hat.copy())
    at_limit = (memory.U <= case.u_lower) | (memory.U >= case.u_upper)
    assert 0 < at_limit.sum() < at_limit.size
    K, h = memory.plan(0.0, PlanStatus.CONVERGED, 1).K[0].copy(), 1e-6
    for i in range(5):
        u = [case.plan(planner, ticks=0, x0=case.x0 + s * h * np.eye(5)[i]).u_hat[0].copy() for s in (1, -1)]
        np.testing.assert_allclose((u[0] - u[1]) / (2 * h), K[:, i], atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_command_inside_its_limits_has_feedback_and_one_at_a_limit_has_none(backend):
    """Also about a plan far from the optimum, where iLQR's step would lead to the limits."""
    case = random_case(5, 6, 3, 10, change=True, bound=0.3)
    rng = np.random.default_rng(0)
    U = rng.uniform(0.9 * case.u_lower, 0.9 * case.u_upper, (10, 3))
    U[::2, 1], U[3, :] = case.u_upper[1], case.u_lower
    X, cost = case.rollout(U)
    memory = memory_of(case, backend)
    assert take(memory, case, X, U) is None
    plan = memory.plan(cost, PlanStatus.MAX_ITERATIONS, 1)
    at_limit = (U <= case.u_lower) | (U >= case.u_upper)
    assert (plan.K[at_limit] == 0.0).all() and (plan.K_u[at_limit] == 0.0).all()
    assert (np.abs(plan.K[~at_limit]).max(axis=1) > 1e-3).all()
    assert min(np.linalg.eigvalsh(precision)[0] for precision in plan.Q_uu) > 0.0
    np.testing.assert_allclose(plan.k, U - np.clip(case.u_previous, case.u_lower, case.u_upper))


@pytest.mark.slow
@compiler
def test_the_compiled_gains_equal_the_specification_about_any_plan():
    for seed in range(5):
        case = random_case(seed, 7, 3, 11, nonlinear=True, change=True, model=seed % 2 == 1)
        U = np.random.default_rng(seed).uniform(1.2 * case.u_lower, 1.2 * case.u_upper, (11, 3))
        U = np.clip(U, case.u_lower, case.u_upper)
        X, _ = case.rollout(U)
        plans = []
        for backend in ("compiled", "numpy"):
            memory = memory_of(case, backend)
            assert take(memory, case, X, U) is None
            plans.append(memory.plan(0.0, PlanStatus.MAX_ITERATIONS, 1))
        for name in ("K", "K_u", "Q_uu"):
            scale = 1.0 + np.abs(getattr(plans[1], name)).max()
            assert np.abs(getattr(plans[0], name) - getattr(plans[1], name)).max() <= 1e-9 * scale, name


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_a_controller_the_gains_are_zero_and_the_next_plan_has_them_again(backend):
    case = random_case(2, 4, 2, 8)
    memory, U = memory_of(case, backend), np.zeros((8, 2))
    X, _ = case.rollout(U)
    given = case.dynamics
    assert take(memory, case, X, U) is None
    assert np.abs(memory.plan(0.0, PlanStatus.CONVERGED, 1).K).max() > 0.0
    case.dynamics = LinearGaussianDynamics(given.F * np.nan, given.f, given.Sigma)
    assert take(memory, case, X, U) is PlanStatus.NOT_FINITE
    plan = memory.plan(0.0, PlanStatus.CONVERGED, 1)
    assert not plan.K.any() and not plan.Q_uu.any()
    case.dynamics = given
    assert take(memory, case, X, U) is None
    assert np.abs(memory.plan(0.0, PlanStatus.CONVERGED, 1).K).max() > 0.0


def test_a_shifted_plan_keeps_its_controller():
    case = random_case(2, 4, 2, 8)
    memory, U = memory_of(case, "numpy"), np.full((8, 2), 0.01)
    X, _ = case.rollout(U)
    take(memory, case, X, U)
    K = memory.plan(0.0, PlanStatus.CONVERGED, 1).K.copy()
    memory.shift(3)
    shifted, rows = memory.plan(0.0, PlanStatus.CONVERGED, 1), np.minimum(np.arange(8) + 3, 7)
    np.testing.assert_array_equal(shifted.K, K[rows])
    np.testing.assert_array_equal(shifted.x_hat, X[np.minimum(np.arange(9) + 3, 8)])
