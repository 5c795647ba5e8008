"""Multiple shooting: unstable dynamics over long horizons, to rounding; elsewhere what single shooting finds."""

import casadi
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner
from mbrl_ros.types import LinearGaussianDynamics, PlanStatus
from support import swing_up
from support.planner_problems import random_case

NX, NU, TERMINAL, EFFORT = 6, 2, 5.0, 0.09  # factor of the last stage, weight of u^2
TARGET = np.array([0.6, -1.1, 0.3, 0.9, -0.4, 1.3])  # one for all seeds, so that one kernel is compiled
BACKENDS = ([pytest.param("compiled", marks=pytest.mark.slow)] if find_compiler() else []) + ["numpy", "casadi"]
COMPILED_CHANGE = [pytest.param("compiled", True, marks=pytest.mark.slow)] if find_compiler() else []


class Unstable:
    """min sum |x - TARGET|^2 / 2 + EFFORT |u|^2 / 2 with x' = A x + B u + f, |u| <= bound; A of a spectral radius."""

    def __init__(self, seed, radius, H):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(NX, NX))
        A *= radius / np.abs(np.linalg.eigvals(A)).max()
        self.A, self.B, self.f, self.H = A, rng.normal(size=(NX, NU)), 0.1 * rng.normal(size=NX), H
        self.x0, self.bound = rng.normal(size=NX), 1e30
        x, u, v = casadi.SX.sym("x", NX), casadi.SX.sym("u", NU), casadi.SX.sym("v", NU)
        state = Term(x - TARGET, StateCostSettings(terminal=TERMINAL))
        self.cost = CostModel(x, u, v, [("state", state), ("command", Term(np.sqrt(EFFORT) * u, CostSettings()))])

    def planner(self, **settings):
        """Plan from constant commands 0 and, with multiple shooting, constant states."""
        limit = np.full(NU, self.bound)
        planner = IlqrPlanner(self.cost, PlannerSettings(horizon=self.H, **settings), NX, NU, -limit, limit)
        planner.reset(self.x0, np.zeros(NU))
        return planner

    def plan(self, **settings):
        """Plan once."""
        dynamics = LinearGaussianDynamics(np.hstack([self.A, self.B])[None], self.f[None], np.zeros((1, NX, NX)))
        return self.planner(**settings).plan(self.x0, dynamics, self.cost.parameters(self.H), np.zeros(NU), 0)

    def optimum(self, side):
        """U (H, NU), and multipliers of the bounds (H, NU), by the sparse KKT system of the given active set.

        side (H, NU): -1 or 1 for a command at its lower or upper bound, 0 for a free one. The unknowns are
        z_t = [u_t; x_(t+1)] and the multipliers; solved by sparse LU and refined.
        """
        H = self.H
        Q = np.tile(np.concatenate([np.full(NU, EFFORT), np.ones(NX)]), H)
        q = np.tile(np.concatenate([np.zeros(NU), -TARGET]), H)
        Q[-NX:] *= TERMINAL
        q[-NX:] *= TERMINAL
        E = scipy.sparse.kron(scipy.sparse.eye(H), np.hstack([-self.B, np.eye(NX)])).tolil()
        E += scipy.sparse.kron(scipy.sparse.eye(H, k=-1), np.hstack([np.zeros((NX, NU)), -self.A]))
        b = np.tile(self.f, H)
        b[:NX] += self.A @ self.x0
        t, j = np.nonzero(side)
        clamped = scipy.sparse.coo_matrix((np.ones(len(t)), (np.arange(len(t)), t * (NU + NX) + j)), (len(t), Q.size))
        E = scipy.sparse.vstack([E, clamped])
        K = scipy.sparse.bmat([[scipy.sparse.diags(Q), E.T], [E, None]]).tocsc()
        right, lu = np.concatenate([-q, b, self.bound * side[t, j]]), scipy.sparse.linalg.splu(K)
        z = lu.solve(right)
        for _ in range(3):
            z += lu.solve(right - K @ z)
        assert np.abs(K @ z - right).max() < 1e-12
        multipliers = np.zeros((H, NU))
        multipliers[t, j] = z[Q.size + H * NX :]
        return z[: Q.size].reshape(H, NU + NX)[:, :NU], multipliers


@pytest.mark.slow(but=3)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("radius, H", [(1.0, 30), (1.3, 100), (1.3, 300), (1.5, 100)])
def test_one_iteration_solves_a_linear_quadratic_problem_to_rounding(backend, radius, H):
    for seed in range(3):
        problem = Unstable(seed, radius, H)
        exact, _ = problem.optimum(np.zeros((H, NU)))
        errors = []
        for several in (True, False):
            plan = problem.plan(backend=backend if several else "numpy", iterations=1, multiple_shooting=several)
            errors.append(np.abs(plan.u_hat - exact).max() / np.abs(exact).max())
        print(backend, radius, H, "relative error: multiple shooting", errors[0], "single", errors[1])
        assert errors[0] < 1e-12
        assert radius == 1.0 or errors[1] > 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
def test_commands_at_their_bounds_satisfy_the_optimality_conditions(backend):
    for seed in range(3):
        problem = Unstable(seed, 1.3, 100)
        exact, _ = problem.optimum(np.zeros((100, NU)))
        problem.bound = 0.75 * np.abs(exact).max()
        plan = problem.plan(backend=backend, iterations=60, tolerance=0.0, multiple_shooting=True)
        U = plan.u_hat
        side = np.sign(U) * (np.abs(U) == problem.bound)
        found, multipliers = problem.optimum(side)
        print(backend, seed, "at a bound", int(np.abs(side).sum()), "iterations", plan.iterations, plan.status)
        assert side.any()
        assert np.abs(U - found).max() < 1e-7 * problem.bound  # the merit's decrease is below its rounding from here on
        assert (multipliers * side >= 0.0).all()
        ends = np.vstack([problem.x0, plan.x_hat[1:-1]]) @ problem.A.T + U @ problem.B.T + problem.f
        assert np.abs(ends - plan.x_hat[1:]).max() < 1e-12 * (1.0 + np.abs(plan.x_hat).max())


@pytest.mark.slow(but=1)
@pytest.mark.parametrize(("backend", "change"), [("casadi", True), ("numpy", True), ("numpy", False)] + COMPILED_CHANGE)
def test_plans_as_single_shooting_does_where_that_keeps_its_digits(backend, change):
    case = random_case(7, 6, 2, 20, nonlinear=True, change=change, bound=0.3)
    plans = []
    for several in (True, False):
        name = backend if several else "numpy"
        plan = case.plan(case.planner(name, iterations=200, tolerance=1e-14, multiple_shooting=several), ticks=0)
        assert plan.status == PlanStatus.CONVERGED
        plans.append((plan.u_hat.copy(), plan.K.copy(), plan.cost))
    assert plans[0][2] == pytest.approx(plans[1][2], rel=1e-12)
    assert np.abs(plans[0][0] - plans[1][0]).max() < 1e-6
    assert np.abs(plans[0][1] - plans[1][1]).max() < 1e-4


@pytest.mark.slow(but=1)
@pytest.mark.skipif(find_compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("second_order", [False, True])
def test_swings_a_pendulum_up(second_order):
    case = swing_up.pendulum()
    options = {"second_order": second_order, "iterations": 1000, "tolerance": 1e-9}
    planners = [case.planner("compiled", multiple_shooting=several, **options) for several in (True, False)]
    several, single = (swing_up.solve(case, planner, np.zeros(2), np.array([0.1])) for planner in planners)
    print("iterations", several.iterations, "single shooting", single.iterations)
    assert several.status == PlanStatus.CONVERGED
    assert several.cost <= single.cost * (1.0 + 1e-6)
    x = several.x_hat
    ends = np.array([case.model(x[t], several.u_hat[t]).full().ravel() for t in range(len(x) - 1)])
    assert np.abs(ends - x[1:]).max() < 1e-12


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("backend", BACKENDS)
def test_gaps_that_are_left_are_closed_and_no_plan_is_worse_than_the_last_one(backend):
    """A line search that finds little in its one iteration, and a state far from where the last plan expected it."""
    case = random_case(5, 6, 2, 15, model=True, nonlinear=True, bound=0.3)
    planner = case.planner(backend, iterations=1, multiple_shooting=True)
    case.plan(planner, ticks=0)
    rng = np.random.default_rng(0)
    statuses = set()
    for _ in range(10):
        case.x0 = case.x0 + 3.0 * rng.standard_normal(6)
        single = case.planner("numpy", iterations=1)  # its plan without an iteration is the last one, replayed
        for name in ("x_hat", "u_hat", "K", "K_u", "k"):
            getattr(single.memory, name)[:] = getattr(planner.memory, name)
        single._fresh = planner._fresh
        plan, replayed = case.plan(planner, ticks=0), replay(case, single)
        statuses.add(plan.status)
        assert plan.status in (PlanStatus.MAX_ITERATIONS, PlanStatus.NO_IMPROVEMENT)
        assert plan.cost <= replayed * (1.0 + 1e-9)
        X, U, cost = planner.memory.x_hat, planner.U, plan.cost
        again = case.planner("numpy", iterations=1)
        again.memory.x_hat[:], again.memory.u_hat[1:] = X, U
        assert replay(case, again) == pytest.approx(cost, rel=1e-9)  # rolled out from its commands: no gaps
    print(statuses)


def replay(case, planner):
    """Return the cost of a planner's last plan, replayed from case.x0 with or without feedback."""
    memory, solver = planner.memory, planner.solver
    memory.x0[:], memory.u_previous[:] = case.x0, case.u_previous
    stages = len(case.dynamics.F)
    memory.take_dynamics(case.dynamics.F, case.dynamics.f)
    memory.take_parameters(case.parameters)
    solver.tick.stages_of_F, solver.tick.wall, solver.merit = stages, 0.0, np.inf
    assert solver.roll(memory.x_hat, memory.u_hat, memory.K, memory.k, np.zeros((2, 1)), np.arange(2.0)[:, None])
    return solver.merit


def test_goes_with_neither_limits_of_states_nor_a_kl_bound():
    case = random_case(3, 4, 2, 5)
    with pytest.raises(ConfigurationError, match="multiple_shooting"):
        case.planner("numpy", multiple_shooting=True, kl_bound=1.0)
    with pytest.raises(ConfigurationError, match="multiple_shooting"):
        case.planner("numpy", multiple_shooting=True, state_limits=True, x_lower=np.full(4, -1.0), x_upper=np.ones(4))
