"""The planner `collocation` where the answer is known, at limits, from tick to tick and where there is no plan."""

import casadi
import numpy as np
import pytest

from mbrl_ros.bench.planner.problems import make
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.dynamics.priors.nonlinear_model import of_function
from mbrl_ros.planners.base import PlannerContext
from mbrl_ros.planners.collocation import Settings, build
from mbrl_ros.planners.collocation.transcription import HESSIANS, multiple_shooting
from mbrl_ros.planners.ilqr.problem import Problem
from mbrl_ros.types import PlanStatus
from support.limited_problems import limited
from support.planner_problems import Case, collocation, random_case
from support.swing_up import cart_pole, pendulum

solvers = pytest.mark.parametrize("solver", ["fatrop", "ipopt"])
hessians = pytest.mark.parametrize("hessian", HESSIANS)


def built(case, x_upper=None, x_lower=None, time_budget=0.0, **settings):
    """The planner for a case, begun from its start."""
    nx, nu = case.cost.nx, case.cost.nu
    anywhere = np.full(nx, np.inf)
    x_upper = anywhere if x_upper is None else x_upper
    common = PlannerSettings(
        horizon=case.horizon, state_limits=bool(np.isfinite(x_upper).any()), time_budget=time_budget
    )
    model = case.model and (lambda: of_function(case.model))
    x_lower = -x_upper if x_lower is None else x_lower
    context = PlannerContext(case.cost, common, nx, nu, case.u_lower, case.u_upper, x_lower, x_upper, model)
    planner = build(Settings(nonlinear=case.model is not None, tolerance=1e-9, **settings), context)
    planner.reset(case.x0, case.u_previous)
    return planner


def arm(horizon=30):
    """The seven-joint problem of the bench."""
    problem = make("P7", horizon)
    high = np.full(7, problem.bound)
    return Case(problem.cost, problem.dynamics, problem.x0, np.zeros(7), -high, high, horizon)


@hessians
@pytest.mark.parametrize("change", [False, True])
def test_its_derivatives_are_those_of_the_problem(hessian, change):
    case = random_case(1, 4, 2, 6, nonlinear=True, model=True, change=change)
    made = multiple_shooting(Problem(case.cost, of_function(case.model)), 6, hessian)
    given = [casadi.MX.sym(made.hess_l.name_in(i), made.hess_l.size1_in(i)) for i in range(4)]
    w, p, lam_f, lam_g = given
    f, g = made.nlp(w, p)
    whole = casadi.hessian(lam_f * f + casadi.dot(lam_g, g), w)[0]
    expected = casadi.Function("expected", given, [casadi.gradient(f, w), casadi.jacobian(g, w), whole])
    rng = np.random.default_rng(0)
    numbers = [rng.standard_normal(symbol.numel()) for symbol in given]
    gradient, jacobian, curvature = (matrix.full() for matrix in expected(*numbers))
    np.testing.assert_allclose(made.grad_f(*numbers[:2])[1].full(), gradient, atol=1e-12)
    np.testing.assert_allclose(made.jac_g(*numbers[:2])[1].full(), jacobian, atol=1e-12)
    if hessian == "exact":
        np.testing.assert_allclose(made.hess_l(*numbers).full(), curvature, atol=1e-12)
    else:
        numbers[1], numbers[2] = np.abs(numbers[1]), 1.0  # weights are
        assert np.linalg.eigvalsh(made.hess_l(*numbers).full()).min() > -1e-12


@pytest.mark.slow(but=1)
@solvers
@hessians
@pytest.mark.parametrize("change", [False, True])
def test_it_finds_the_optimum_and_the_gains_of_a_linear_quadratic_problem(solver, hessian, change):
    case = random_case(1, 7, 3, 15, bound=1e6, change=change)
    expected = case.plan(case.planner("numpy"), ticks=0)  # equal to Riccati: test_exact_solutions.py
    plan = case.plan(built(case, solver=solver, hessian=hessian))
    assert (plan.status, expected.status) == (PlanStatus.CONVERGED, PlanStatus.CONVERGED)
    for array in ("u_hat", "x_hat", "K", "K_u", "Q_uu"):
        scale = np.abs(getattr(expected, array)).max() + 1.0
        assert np.abs(getattr(plan, array) - getattr(expected, array)).max() <= 1e-5 * scale, array
    assert plan.cost == pytest.approx(expected.cost, rel=1e-8)


@pytest.mark.slow(but=1)
@solvers
@hessians
@pytest.mark.parametrize("case", [arm(), pendulum(), cart_pole()], ids=["seven joints", "pendulum", "cart-pole"])
def test_it_ends_where_ilqr_from_its_plan_has_nothing_to_gain(solver, hessian, case):
    """The same minimum: iLQR that goes on from the plan lowers the cost by nothing, and moves no command."""
    plan = case.plan(built(case, solver=solver, hessian=hessian, iterations=1000), ticks=0)
    assert plan.status is PlanStatus.CONVERGED
    cost, U = plan.cost, plan.u_hat.copy()
    polish = case.planner("casadi", iterations=100, tolerance=1e-14)
    polish.U[:] = U
    better = case.plan(polish, ticks=0)
    assert cost - better.cost <= 1e-5 * better.cost
    assert np.abs(better.u_hat - U).max() <= 1e-2 * case.u_upper.max()


def test_it_finds_the_plan_of_ilqr_on_seven_joints():
    case = arm()
    expected = case.plan(case.planner("casadi", iterations=500), ticks=0)
    plan = case.plan(built(case), ticks=0)
    assert plan.cost == pytest.approx(expected.cost, rel=1e-6)
    assert np.abs(plan.u_hat - expected.u_hat).max() < 1e-3


@pytest.mark.slow(but=2)
@solvers
@pytest.mark.parametrize("seed", range(3))
def test_limits_of_commands_that_bind_are_those_of_a_quadratic_programme(solver, seed):
    case = random_case(seed, 4, 2, 15, change=seed % 2 == 1, bound=0.3)
    problem, low, high, states = collocation(case)
    qp = casadi.qpsol("qp", "qpoases", problem, {"printLevel": "none", "sparse": False})
    U = qp(lbx=low, ubx=high, lbg=0, ubg=0)["x"].full().ravel()[states:].reshape(case.horizon, -1)
    plan = case.plan(built(case, solver=solver), ticks=0)
    assert np.mean(np.isclose(np.abs(U), case.u_upper, atol=1e-9)) > 0.1  # they do bind
    assert plan.status is PlanStatus.CONVERGED
    assert np.abs(plan.u_hat - U).max() < 1e-4
    assert (plan.u_hat >= case.u_lower).all() and (plan.u_hat <= case.u_upper).all()


@pytest.mark.slow(but=2)
@solvers
@pytest.mark.parametrize("name", ["double integrator", "pendulum", "P7"])
def test_limits_of_states_that_bind_hold_at_the_optimum(solver, name):
    problem = limited(name, 0)
    case = problem.case
    free = case.plan(built(case, solver=solver, iterations=1000), ticks=0)
    assert problem.beyond(free.x_hat) > 0.05
    planner = built(case, problem.x_upper, problem.x_lower, solver=solver, iterations=1000)
    plan = case.plan(planner, ticks=0)
    assert plan.status is PlanStatus.CONVERGED
    assert problem.beyond(plan.x_hat) <= 1e-6
    cost, _, _ = problem.optimum(plan)
    assert plan.cost == pytest.approx(cost, rel=1e-5)


@solvers
def test_a_start_from_the_last_plan_needs_fewer_iterations(solver):
    """Ticks in which the arm goes as planned, with and without the last plan."""
    case = arm()
    F = np.tile(case.dynamics.F.mean(axis=0), (case.horizon, 1, 1))
    case.dynamics = type(case.dynamics)(F, case.dynamics.f, case.dynamics.Sigma)
    warm, done = built(case, solver=solver), {"warm": 0, "cold": 0}
    plan = case.plan(warm, ticks=0)
    for _ in range(6):
        case.x0, case.u_previous = plan.x_hat[1].copy(), plan.u_hat[0].copy()
        cold = case.plan(built(case, solver=solver), ticks=0)
        plan = case.plan(warm)
        assert plan.status is PlanStatus.CONVERGED
        assert plan.cost == pytest.approx(cold.cost, rel=1e-6)
        done["warm"] += plan.iterations
        done["cold"] += cold.iterations
    assert done["warm"] <= 0.7 * done["cold"]


@solvers
def test_limits_of_states_that_cannot_be_kept_give_a_status_and_the_last_plan(solver):
    problem = limited("double integrator", 0)
    case = problem.case
    planner = built(case, problem.x_upper, problem.x_lower, solver=solver)
    before = case.plan(planner, ticks=0).u_hat.copy()
    speed = problem.x_upper[1]
    case.dynamics.f[0, 1] = 2.0 * speed  # a push that the commands cannot resist
    plan = case.plan(planner, ticks=2)
    assert plan.status is PlanStatus.INFEASIBLE_LIMITS and not plan.usable
    np.testing.assert_array_equal(plan.u_hat, before[np.minimum(np.arange(case.horizon) + 2, case.horizon - 1)])
    case.dynamics.f[0, 1] = 0.0
    assert case.plan(planner).status is PlanStatus.CONVERGED


@solvers
def test_from_beyond_a_limit_of_states_it_comes_back_within_the_horizon(solver):
    problem = limited("double integrator", 0)
    case = problem.case
    planner = built(case, problem.x_upper, problem.x_lower, solver=solver)
    case.x0 = np.array([0.0, 1.2 * problem.x_upper[1]])
    plan = case.plan(planner, ticks=0)
    assert plan.status is PlanStatus.CONVERGED
    assert plan.x_hat[:, 1].max() <= case.x0[1] * (1.0 + 1e-6)
    assert plan.x_hat[-1, 1] <= problem.x_upper[1] * (1.0 + 1e-5)


@solvers
def test_commands_that_are_fixed_stay(solver):
    case = random_case(3, 4, 2, 10)
    planner = built(case, solver=solver)
    planner.limit_commands(np.array([0.1, case.u_lower[1]]), np.array([0.1, case.u_upper[1]]))
    plan = case.plan(planner, ticks=0)
    assert plan.usable and (plan.u_hat[:, 0] == 0.1).all() and np.ptp(plan.u_hat[:, 1]) > 0.01


@solvers
def test_iterations_and_time_end_the_search_with_the_best_plan_so_far(solver):
    case = arm()
    optimum = case.plan(built(case, solver=solver), ticks=0).cost
    plan = case.plan(built(case, solver=solver, iterations=3), ticks=0)
    assert plan.status is PlanStatus.MAX_ITERATIONS and plan.cost > optimum * (1.0 + 1e-6)
    planner = built(case, solver=solver, time_budget=1e-9)  # no time for a second iteration
    costs = []
    for _ in range(20):
        plan = case.plan(planner, ticks=0)
        assert plan.status in (PlanStatus.TIME_BUDGET, PlanStatus.NO_IMPROVEMENT)
        costs.append(plan.cost)
    assert (np.diff(costs) <= 0.0).all() and costs[-1] < costs[0]


@solvers
def test_it_prints_nothing(solver, capfd):
    case = random_case(1, 4, 2, 12, stages=1)
    planner = built(case, solver=solver)
    case.plan(planner)
    case.plan(planner, x0=np.full(4, 1e200))
    case.plan(planner, x0=np.full(4, np.nan))
    out, err = capfd.readouterr()
    assert out == "" and err == ""
