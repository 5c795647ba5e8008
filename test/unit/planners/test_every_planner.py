"""What every planner keeps, those of other packages too: plans that are finite, inside the limits and of use."""

import casadi
import numpy as np
import pytest

from mbrl_ros.config import registry
from mbrl_ros.config.configuration import Configuration
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.planners import lqr
from mbrl_ros.planners.base import PlannerContext, build_planner
from mbrl_ros.types import LinearGaussianDynamics, PlanStatus
from support.planner_problems import random_case

NAMES = registry.names("planner")
CASES = [(4, 2, 12, {}), (5, 2, 9, {"change": True, "stages": 1}), (6, 3, 10, {"nonlinear": True, "bound": 0.3})]
ARRAYS = ("x_hat", "u_hat", "K", "K_u", "k", "Q_uu")


def nothing(nx, nu):
    """A model that leaves all of the dynamics to what is given with every plan."""
    x, u = casadi.SX.sym("x", nx), casadi.SX.sym("u", nu)
    return of_function(casadi.Function("nothing", [x, u], [casadi.SX.zeros(nx)]))


def built(name, case, **settings):
    """The planner of this name for a case, begun from its start."""
    configuration = Configuration.from_flat({"control.planner": name})
    no_limit = np.full(case.cost.nx, np.inf)
    common = PlannerSettings(horizon=case.horizon, backend="numpy", **settings)
    nx, nu = case.cost.nx, case.cost.nu
    limits = case.u_lower, case.u_upper, -no_limit, no_limit
    context = PlannerContext(case.cost, common, nx, nu, *limits, lambda: nothing(nx, nu))
    planner = build_planner(configuration, context)
    planner.reset(case.x0, case.u_previous)
    return planner


@pytest.mark.slow(but=40)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("nx, nu, horizon, options", CASES)
def test_a_plan_is_finite_within_limits_consistent_and_better_than_doing_nothing(name, seed, nx, nu, horizon, options):
    case = random_case(seed, nx, nu, horizon, **options)
    planner = built(name, case, iterations=5)
    _, nothing = case.rollout(np.repeat(case.u_previous[None], horizon, axis=0))
    plan = case.plan(planner, ticks=0)
    assert plan.usable
    for array, shape in zip(
        ARRAYS,
        [(horizon + 1, nx), (horizon, nu), (horizon, nu, nx), (horizon, nu, nu), (horizon, nu), (horizon, nu, nu)],
        strict=True,
    ):
        assert getattr(plan, array).shape == shape and np.isfinite(getattr(plan, array)).all(), array
    assert (plan.u_hat >= case.u_lower).all() and (plan.u_hat <= case.u_upper).all()
    X, cost = case.rollout(plan.u_hat)  # the states and the cost are those of its commands
    np.testing.assert_allclose(plan.x_hat, X, rtol=1e-9, atol=1e-9)
    assert plan.cost == pytest.approx(cost, rel=1e-9)
    assert cost < nothing
    assert min(np.linalg.eigvalsh(precision)[0] for precision in plan.Q_uu) > 0.0
    first = plan.cost
    assert case.plan(planner, ticks=0).cost <= first + 1e-12 * abs(first)  # planning on makes nothing worse


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_limits_can_be_narrowed(name):
    case = random_case(0, 4, 2, 12)
    planner = built(name, case, iterations=5)
    assert np.ptp(case.plan(planner, ticks=0).u_hat) > 0.1
    planner.limit_commands(np.full(2, -0.01), np.full(2, 0.01))
    plan = case.plan(planner, ticks=0)
    assert plan.usable and np.abs(plan.u_hat).max() <= 0.01


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["state", "dynamics", "limits"])
def test_a_problem_without_a_plan_gives_a_status_and_the_last_plan_shifted(name, what):
    case = random_case(1, 4, 2, 12, stages=1)
    planner = built(name, case, iterations=3)
    plan = case.plan(planner)
    before = {array: getattr(plan, array).copy() for array in ARRAYS}
    x0, dynamics, status = case.x0, case.dynamics, PlanStatus.NOT_FINITE
    if what == "state":
        x0 = np.full(4, np.nan)
    elif what == "dynamics":
        case.dynamics = LinearGaussianDynamics(dynamics.F * np.inf, dynamics.f, dynamics.Sigma)
    else:
        status = PlanStatus.INFEASIBLE_BOX
        planner.limit_commands(np.full(2, 1.0), np.full(2, -1.0))
    plan = case.plan(planner, ticks=2, x0=x0)
    assert plan.status is status and not plan.usable
    rows = np.minimum(np.arange(12) + 2, 11)
    np.testing.assert_array_equal(plan.u_hat, before["u_hat"][rows])
    np.testing.assert_array_equal(plan.K, before["K"][rows])
    planner.limit_commands(case.u_lower, case.u_upper)
    case.dynamics = dynamics
    assert case.plan(planner).usable  # and it recovers


@pytest.mark.parametrize("name", NAMES)
def test_the_same_problems_give_the_same_plans(name):
    def plans():
        case = random_case(2, 5, 2, 10, nonlinear=True, change=True)
        planner = built(name, case, iterations=2)
        return [case.plan(planner, x0=case.x0 + 0.1 * k).u_hat.copy() for k in range(4)]

    np.testing.assert_array_equal(plans(), plans())


# --- lqr ---


@pytest.mark.parametrize("change", [False, True])
def test_lqr_is_optimal_where_no_limit_binds(change):
    case = random_case(1, 7, 3, 15, bound=1e6, change=change)
    ours, optimal = built("lqr", case), built("ilqr", case, iterations=100, tolerance=1e-15)
    plan, expected = case.plan(ours, ticks=0), case.plan(optimal, ticks=0)
    assert expected.status is PlanStatus.CONVERGED
    for array in ("u_hat", "x_hat", "K", "K_u", "Q_uu"):
        scale = 1.0 + np.abs(getattr(expected, array)).max()
        assert np.abs(getattr(plan, array) - getattr(expected, array)).max() <= 1e-7 * scale, array


def test_lqr_only_clips_where_ilqr_solves():
    """With limits that bind it is feasible, better than nothing, and not optimal, as the module states."""
    worse = 0
    for seed in range(10):
        case = random_case(seed, 6, 3, 15, bound=0.2)
        clipped = case.plan(built("lqr", case, iterations=100), ticks=0).cost
        optimal = case.plan(built("ilqr", case, iterations=100, tolerance=1e-15), ticks=0).cost
        assert clipped >= optimal - 1e-9 * abs(optimal)
        worse += clipped > optimal * (1.0 + 1e-6)
    assert worse >= 5


def test_lqr_solves_for_the_value_function():
    """V of the solution is the cost-to-go that a rollout of its law has, noise left out."""
    rng = np.random.default_rng(0)
    H, nx, nu = 8, 4, 2
    root = rng.normal(size=(H, nx + nu, nx + nu))
    C, c, last = root @ root.transpose(0, 2, 1), rng.normal(size=(H, nx + nu)), np.eye(nx)
    F, f = 0.5 * rng.normal(size=(H, nx, nx + nu)), rng.normal(size=(H, nx))
    dynamics = LinearGaussianDynamics(F, f, np.zeros((H, nx, nx)))
    solution = lqr.solve(dynamics, C, c, last, np.zeros(nx))
    x = x0 = rng.normal(size=nx)
    total = 0.0
    for t in range(H):
        z = np.concatenate([x, solution.K[t] @ x + solution.k[t]])
        total += 0.5 * z @ C[t] @ z + c[t] @ z
        x = dynamics.predict(x, z[nx:], t)
    assert solution.cost(x0) == pytest.approx(total + 0.5 * x @ last @ x, rel=1e-10)
