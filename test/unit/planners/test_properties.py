"""What holds for every plan: seeded random problems, well and badly conditioned, possible and impossible."""

import casadi
import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.exceptions import ConfigurationError, ShapeError
from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner
from mbrl_ros.types import LinearGaussianDynamics, PlanStatus
from support.planner_problems import random_case

BACKEND = "compiled" if find_compiler() else "casadi"
BACKENDS = (["compiled"] if find_compiler() else []) + ["casadi", "numpy"]
ARRAYS = ("x_hat", "u_hat", "K", "K_u", "k", "Q_uu")
# (nx, nu, horizon, options): each is compiled once and then given random data
STRUCTURES = [
    (2, 1, 3, {}),
    (3, 1, 40, {"change": True}),
    (5, 2, 11, {"nonlinear": True}),
    (8, 4, 10, {"nonlinear": True, "change": True}),
    (14, 7, 9, {"change": True}),
    (4, 2, 16, {"model": True, "nonlinear": True}),
]
PROBLEMS = 1000


def random_data(case, planner, rng):
    """Replace dynamics, bounds, weights and start by random ones of any size, sometimes impossible."""
    nx, nu, H = case.cost.nx, case.cost.nu, case.horizon
    growth, stages = 10.0 ** rng.uniform(-2, 1), rng.choice([1, H])
    F = np.concatenate(
        [
            np.eye(nx) + growth * rng.standard_normal((stages, nx, nx)),
            10.0 ** rng.uniform(-6, 4) * rng.standard_normal((stages, nx, nu)),
        ],
        axis=2,
    )
    case.dynamics = LinearGaussianDynamics(F, rng.standard_normal((stages, nx)), np.zeros((stages, nx, nx)))
    case.parameters = case.cost.parameters(H)
    for name, columns in case.cost.layout.items():
        if name.endswith(".weight"):
            case.parameters[:, columns] *= 10.0 ** rng.uniform(-8, 8)
    high = 10.0 ** rng.uniform(-6, 6, nu)
    planner.u_lower[:], planner.u_upper[:] = -high * rng.uniform(0, 1, nu), high
    case.x0, case.u_previous = 10.0 ** rng.uniform(-3, 3) * rng.standard_normal(nx), rng.standard_normal(nu) * high
    kind = rng.integers(10)
    if kind == 0:  # something is not a number
        target = [case.x0, case.dynamics.F, case.dynamics.f, case.parameters, case.u_previous][rng.integers(5)]
        target.flat[rng.integers(target.size)] = rng.choice([np.nan, np.inf, -np.inf])
    if kind == 1:
        planner.u_lower[rng.integers(nu)] = planner.u_upper.max() + 1.0
    if kind == 2:  # a box without volume
        planner.u_lower[:] = planner.u_upper
    return kind


def amplification(case):
    """How much larger the dynamics make a rounding error of the first state until the last one, at least 1."""
    F, Phi = case.dynamics.F[:, :, : case.cost.nx], np.eye(case.cost.nx)
    for t in range(case.horizon):
        Phi = F[t % len(F)] @ Phi
    return max(1.0, np.linalg.norm(Phi, 2))


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_random_problems_never_crash_never_leave_the_box_never_get_worse(structure):
    nx, nu, horizon, options = structure
    case = random_case(0, nx, nu, horizon, **options)
    planner = case.planner(BACKEND, iterations=3, tolerance=1e-12)
    rng = np.random.default_rng(nx)
    seen = set()
    for _ in range(PROBLEMS // len(STRUCTURES) + 1):
        planner.u_lower[:], planner.u_upper[:] = case.u_lower, case.u_upper
        planner.reset(np.zeros(nx), np.zeros(nu))
        kind = random_data(case, planner, rng)
        cost = np.inf
        for _ in range(3):
            plan = case.plan(planner, ticks=0)
            seen.add(plan.status)
            assert all(np.isfinite(getattr(plan, name)).all() for name in ARRAYS)
            if kind == 0:
                assert plan.status == PlanStatus.NOT_FINITE
            if kind == 1:
                assert plan.status == PlanStatus.INFEASIBLE_BOX
            if plan.usable:
                assert np.isfinite(plan.cost)
                assert (plan.u_hat >= planner.u_lower).all() and (plan.u_hat <= planner.u_upper).all()
                # a replay of the last plan, stage by stage, costs what its step along a line did, but for rounding
                assert plan.cost <= cost * (1.0 + 1e-12 * amplification(case))
                cost = plan.cost
    assert {PlanStatus.NOT_FINITE, PlanStatus.INFEASIBLE_BOX} <= seen
    assert seen & {PlanStatus.CONVERGED, PlanStatus.MAX_ITERATIONS}


@pytest.fixture(params=BACKENDS)
def tracking(request):
    """A case that does not change with time, its planner, and a plan already made."""
    case = random_case(2, 4, 2, 12, nonlinear=True, change=True, stages=1)
    planner = case.planner(request.param, iterations=3)
    plan = case.plan(planner)
    assert plan.usable
    return case, planner, {name: np.array(getattr(plan, name)) for name in ARRAYS}


def shifted(array, by):
    rows = np.minimum(np.arange(len(array)) + by, len(array) - 1)
    return array[rows]


@pytest.mark.slow(but=20)
@pytest.mark.parametrize(
    "failure, status",
    [
        ("x0", PlanStatus.NOT_FINITE),
        ("F", PlanStatus.NOT_FINITE),
        ("f", PlanStatus.NOT_FINITE),
        ("parameters", PlanStatus.NOT_FINITE),
        ("box", PlanStatus.INFEASIBLE_BOX),
        ("explosion", PlanStatus.DIVERGED),
        ("negative weight", PlanStatus.NOT_POSITIVE_DEFINITE),
    ],
)
@pytest.mark.parametrize("ticks", [1, 3, 50])
def test_a_failure_is_a_status_and_the_last_good_plan_shifted(tracking, failure, status, ticks):
    case, planner, before = tracking
    x0 = case.x0.copy()
    F, f = case.dynamics.F.copy(), case.dynamics.f.copy()
    if failure == "x0":
        x0[1] = np.nan
    elif failure in ("F", "f"):
        {"F": F, "f": f}[failure].flat[-1] = np.inf
    elif failure == "parameters":
        case.parameters[3, 0] = np.nan
    elif failure == "box":
        planner.u_lower[0] = planner.u_upper[0] + 1.0
    elif failure == "explosion":
        F *= 1e80
    else:
        case.parameters[:, case.cost.layout["command.weight"]] = -1e13
    case.dynamics = LinearGaussianDynamics(F, f, case.dynamics.Sigma)
    plan = case.plan(planner, ticks=ticks, x0=x0)
    assert plan.status == status and not plan.usable
    for name in ARRAYS:
        assert np.array_equal(getattr(plan, name), shifted(before[name], ticks)), name


def test_it_recovers_after_a_failure(tracking):
    case, planner, _ = tracking
    good, x0 = case.dynamics, case.x0
    case.dynamics = LinearGaussianDynamics(good.F * np.nan, good.f, good.Sigma)
    assert case.plan(planner).status == PlanStatus.NOT_FINITE
    case.dynamics = good
    assert case.plan(planner, x0=x0).usable


def test_warm_start_goes_on_from_the_better_replay(tracking):
    case, planner, before = tracking
    case.x0 = before["x_hat"][2] + 0.3
    case.u_previous = before["u_hat"][1].copy()

    def replay(feedback):
        x, v, total, H = case.x0, case.u_previous, 0.0, case.horizon
        u_hat, x_hat, K, K_u = (shifted(before[name], 2) for name in ("u_hat", "x_hat", "K", "K_u"))
        v_hat = np.concatenate([before["u_hat"][1:2], u_hat[:-1]])
        for t in range(H):
            u = u_hat[t] + feedback * (K[t] @ (x - x_hat[t]) + K_u[t] @ (v - v_hat[t]))
            u = np.clip(u, case.u_lower, case.u_upper)
            total += float(case.cost.stage(x, v, u, case.parameters[t]))
            x, v = case.dynamics.predict(x, u), u
        return total + float(case.cost.terminal(x, case.parameters[H]))

    costs = replay(0.0), replay(1.0)
    assert abs(costs[0] - costs[1]) > 1e-3
    # a predicted decrease below 100 % of 1 + |cost| ends the iterations: what is left is the replay itself
    planner.update_settings(planner.settings.replace(iterations=1, tolerance=1.0))
    plan = case.plan(planner, ticks=2)
    assert plan.status == PlanStatus.CONVERGED
    assert plan.cost == pytest.approx(min(costs), rel=1e-12)


def test_budgets_end_in_a_usable_plan(tracking):
    case, planner, _ = tracking
    planner.reset(case.x0, case.u_previous)
    planner.update_settings(planner.settings.replace(iterations=50, tolerance=0.0, time_budget=1e-9))
    plan = case.plan(planner)
    assert plan.status == PlanStatus.TIME_BUDGET and plan.iterations == 1 and plan.usable
    first = plan.cost
    planner.reset(case.x0, case.u_previous)
    planner.update_settings(planner.settings.replace(iterations=2, time_budget=0.0))
    plan = case.plan(planner)
    assert plan.status == PlanStatus.MAX_ITERATIONS and plan.iterations == 2 and plan.cost < first


@pytest.mark.slow
def test_permuting_states_and_commands_permutes_the_plan():
    case = random_case(7, 5, 3, 10, bound=0.5)
    plan = case.plan(case.planner(BACKEND))
    order_x, order_u = np.array([3, 0, 4, 1, 2]), np.array([2, 0, 1])
    from mbrl_ros.costs import CostModel

    x, u, v = casadi.SX.sym("x", 5), casadi.SX.sym("u", 3), casadi.SX.sym("v", 3)
    back_x, back_u = np.argsort(order_x).tolist(), np.argsort(order_u).tolist()
    permuted = CostModel(
        x,
        u,
        v,
        [
            (
                name,
                type(term)(
                    casadi.substitute(
                        casadi.substitute(term.residual, case.symbols[0], x[back_x]), case.symbols[1], u[back_u]
                    ),
                    term.settings,
                    term.parameters,
                ),
            )
            for name, term in case.cost._terms.items()
        ],
    )
    F = case.dynamics.F[:, order_x][:, :, np.concatenate([order_x, 5 + order_u])]
    other = IlqrPlanner(
        permuted,
        PlannerSettings(horizon=10, iterations=100, tolerance=1e-15, backend=BACKEND),
        5,
        3,
        case.u_lower[order_u],
        case.u_upper[order_u],
    )
    other.reset(case.x0[order_x], case.u_previous[order_u])
    turned = other.plan(
        case.x0[order_x],
        LinearGaussianDynamics(F, case.dynamics.f[:, order_x], case.dynamics.Sigma),
        permuted.parameters(10),
        case.u_previous[order_u],
    )
    assert np.allclose(turned.u_hat, plan.u_hat[:, order_u], atol=1e-9)
    assert np.allclose(turned.K, plan.K[:, order_u][:, :, order_x], atol=1e-8)


def test_wrong_arguments_are_named():
    case = random_case(0, 4, 2, 6)
    planner = case.planner("numpy")
    good = dict(x0=case.x0, dynamics=case.dynamics, parameters=case.parameters, u_previous=case.u_previous)
    F, f, Sigma = case.dynamics.F, case.dynamics.f, case.dynamics.Sigma
    for name, value in [
        ("x0", np.zeros(3)),
        ("u_previous", np.zeros((1, 2))),
        ("parameters", case.parameters[:-1]),
        ("dynamics.F", LinearGaussianDynamics(F[:, :, :-1], f, Sigma)),
        ("dynamics.F", LinearGaussianDynamics(F[:3], f[:3], Sigma)),
        ("dynamics.f", LinearGaussianDynamics(F, f[:1], Sigma)),
    ]:
        with pytest.raises(ShapeError, match=name) as error:
            planner.plan(**{**good, name.partition(".")[0]: value})
        assert error.value.expected != error.value.given
    with pytest.raises(ConfigurationError, match="cross at entry 1"):
        IlqrPlanner(case.cost, PlannerSettings(backend="numpy"), 4, 2, np.array([-1.0, 2.0]), np.ones(2))
    with pytest.raises(ShapeError, match="u_lower"):
        IlqrPlanner(case.cost, PlannerSettings(backend="numpy"), 4, 2, np.zeros(3), np.ones(2))
    from mbrl_ros.costs import CostModel

    with pytest.raises(ConfigurationError, match="no cost at all"):
        IlqrPlanner(CostModel(*case.symbols, []), PlannerSettings(backend="numpy"), 4, 2, -np.ones(2), np.ones(2))
    with pytest.raises(ConfigurationError, match="not finite"):
        planner.reset(np.full(4, np.nan), np.zeros(2))


@pytest.mark.slow
def test_several_planners_share_nothing():
    cases = [random_case(s, 4, 2, 12, change=True) for s in (1, 1)]
    cases[1].x0 = cases[1].x0 + 1.0
    planners = [case.planner(BACKEND, iterations=2) for case in cases]
    alone = cases[0].planner(BACKEND, iterations=2)
    for _ in range(3):
        together = [case.plan(planner) for case, planner in zip(cases, planners, strict=True)]
        expected = cases[0].plan(alone)
        for name in ARRAYS:
            assert np.array_equal(getattr(together[0], name), getattr(expected, name))


def reduced_gradient(case, U, curvature):
    """Return the largest |u - clip(u - dJ/du / curvature)| of U (H, nu): zero where the box problem is solved."""
    u = casadi.SX.sym("u", *U.T.shape)
    x, v, total = casadi.SX(case.x0), casadi.SX(case.u_previous), 0
    for t in range(case.horizon):
        total += case.cost.stage(x, v, u[:, t], case.parameters[t])
        F, f, _ = case.dynamics.at(t)
        successor = casadi.DM(F) @ casadi.vertcat(x, u[:, t]) + f
        x, v = successor if case.model is None else successor + case.model(x, u[:, t]), u[:, t]
    total += case.cost.terminal(x, case.parameters[-1])
    gradient = casadi.Function("gradient", [u], [casadi.gradient(total, u)])(U.T).full().T
    return np.abs(U - np.clip(U - gradient / curvature, case.u_lower, case.u_upper)).max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_converged_means_a_small_projected_gradient_however_strong_the_regularization(backend):
    case = random_case(3, 4, 2, 12, nonlinear=True, model=True, bound=0.5)
    best = case.plan(case.planner(backend, iterations=200, tolerance=1e-9), ticks=0)
    curvature = best.Q_uu.max()
    planner = case.planner(backend, iterations=200, tolerance=1e-5)
    planner.solver.tick.mu = 9e9  # any step is small under it
    assert reduced_gradient(case, np.tile(case.u_previous, (case.horizon, 1)), curvature) > 0.1
    plan = case.plan(planner, ticks=0)
    assert plan.status == PlanStatus.CONVERGED
    assert reduced_gradient(case, plan.u_hat, curvature) < 1e-3
    assert plan.cost == pytest.approx(best.cost, rel=1e-4)
    assert np.mean(np.abs(plan.u_hat) == case.u_upper) > 0.1


@pytest.mark.parametrize("backend", BACKENDS)
def test_regularization_is_bounded_and_reset_where_nothing_is_left_to_gain(backend):
    case = random_case(3, 4, 2, 12, nonlinear=True, model=True, bound=0.5)
    planner = case.planner(backend, iterations=3, tolerance=0.0)
    seen, largest = set(), 0.0
    for _ in range(100):
        seen.add(case.plan(planner, ticks=0).status)
        largest = max(largest, planner.solver.tick.mu)
    assert PlanStatus.NO_IMPROVEMENT in seen and 0.0 < largest <= 1e10
    case.x0 = case.x0 + 0.5
    fresh = case.planner(backend, iterations=50, tolerance=0.0)
    fresh.U[:] = planner.U
    expected = case.plan(fresh, ticks=0).cost
    planner.update_settings(planner.settings.replace(iterations=50))
    assert case.plan(planner, ticks=0).cost == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_time_budget_is_overrun_by_one_iteration_at_most_and_the_best_plan_returned(backend):
    case = random_case(3, 4, 2, 12, nonlinear=True, model=True, bound=0.5)
    costs, plans = [np.inf], []
    for iterations in range(1, 5):
        plan = case.plan(case.planner(backend, iterations=iterations, tolerance=0.0), ticks=0)
        costs.append(plan.cost)
        plans.append(plan.u_hat.copy())
    assert all(following < cost for cost, following in zip(costs, costs[1:], strict=False))
    for times, done in (
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 4),  # a fifth would end at 5 s
        ([0.0, 1.0, 2.0, 3.0, 13.0, 14.0], 4),  # the fourth takes longer than those before
        ([0.0, 2.3, 4.6], 1),
        ([0.0, 60.0], 1),  # the first is always run
    ):
        planner = case.planner(backend, iterations=50, tolerance=0.0, time_budget=4.5)
        ticking = iter(times)
        planner.solver.use_clock(lambda ticking=ticking: next(ticking))
        plan = case.plan(planner, ticks=0)
        assert (plan.status, plan.iterations) == (PlanStatus.TIME_BUDGET, done)
        assert plan.cost == costs[done] and np.array_equal(plan.u_hat, plans[done - 1])
