"""A plan acted open loop, with feedback, as a Gaussian and replanned: its expected cost, by moments and by rollouts."""

import copy
import dataclasses

import numpy as np
import pytest

from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.planners import lqr
from mbrl_ros.planners.execution import MODES, execute
from mbrl_ros.planners.ilqr.evaluator import Evaluator
from mbrl_ros.planners.ilqr.problem import Problem
from mbrl_ros.planners.tube import expected_cost, tube
from mbrl_ros.types import LinearGaussianDynamics
from support.planner_problems import constant_part, quadratic, random_case

H, NX, NU, ROLLOUTS = 10, 3, 2, 3000
FREE = np.full(NU, np.inf)


def problem(change=False, seed=5):
    case = random_case(seed, NX, NU, H, change=change, bound=1e6)
    case.u_previous = np.array([0.3, -0.2])
    noisy = np.tile(np.diag([0.02, 0.05, 0.01]), (H, 1, 1))
    case.dynamics = LinearGaussianDynamics(case.dynamics.F, case.dynamics.f, noisy)
    return case, case.plan(case.planner("casadi"))


def rolled(case, act, N, seed=0):
    """Costs (N,), commands (N, H, nu) and states (N, H+1, nx) of noisy rollouts under act(t, x, u_previous)."""
    rng = np.random.default_rng(seed)
    X, U = np.empty((H + 1, N, NX)), np.empty((H + 1, N, NU))
    X[0], U[0] = case.x0, case.u_previous
    for t in range(H):
        F, f, Sigma = case.dynamics.at(t)
        U[t + 1] = [act(t, x, u) for x, u in zip(X[t], U[t], strict=True)]
        noise = rng.standard_normal((N, NX)) @ np.linalg.cholesky(Sigma).T
        X[t + 1] = np.hstack([X[t], U[t + 1]]) @ F.T + f + noise
    costs = Evaluator(Problem(case.cost), H, (N,)).costs(X, U, case.parameters)
    return np.array(costs), U[1:].swapaxes(0, 1), X.swapaxes(0, 1)


def acted(case, plan, mode, N=ROLLOUTS):
    random = np.random.default_rng(1)
    return rolled(case, lambda t, x, u: execute(plan, mode, x, u, -FREE, FREE, t, random), N)


def expected(case, plan, mode):
    return expected_cost(
        case.cost, tube(plan, case.dynamics, mode, case.x0, case.u_previous), case.parameters, case.u_previous
    )


def exact(case):
    """The value of the linear-quadratic-Gaussian problem."""
    return lqr.solve(case.dynamics, *quadratic(case)).cost(case.x0) + constant_part(case)


@pytest.mark.slow(but=3)
@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_moments_are_those_of_rollouts(mode, change):
    case, plan = problem(change)
    found = tube(plan, case.dynamics, mode, case.x0, case.u_previous)
    costs, U, X = acted(case, plan, mode)
    error = costs.std() / np.sqrt(ROLLOUTS)
    assert expected(case, plan, mode) == pytest.approx(costs.mean(), abs=4.0 * error)
    assert error < 0.03 * costs.mean()
    spread = np.sqrt(np.einsum("tii->ti", found.x)[1:])
    assert found.X[1:] == pytest.approx(X.mean(axis=0)[1:], abs=5.0 * spread.max() / np.sqrt(ROLLOUTS))
    assert X.std(axis=0)[1:] == pytest.approx(spread, rel=0.08)
    commands = np.sqrt(np.einsum("tii->ti", found.z)[:, NX + NU :])
    assert U.std(axis=0) == pytest.approx(commands, rel=0.08, abs=1e-9)
    assert found.z[3, :NX, :NX] == pytest.approx(found.x[3])


def test_feedback_reaches_the_value_of_the_lqg_problem_and_the_others_cost_more():
    case, plan = problem()
    open_loop, feedback, gaussian = (expected(case, plan, mode) for mode in MODES)
    assert feedback == pytest.approx(exact(case), rel=1e-9)
    assert gaussian == pytest.approx(feedback + 0.5 * NU * H, rel=1e-9)  # 1/2 E e^T Q_uu e at temperature 1
    costs = {mode: acted(case, plan, mode)[0] for mode in MODES}
    for mode, value in zip(MODES, (open_loop, feedback, gaussian), strict=True):
        assert costs[mode].mean() == pytest.approx(value, abs=4.0 * costs[mode].std() / np.sqrt(ROLLOUTS))
    gain = costs["open_loop"] - costs["feedback"]
    assert gain.mean() > 10.0 * gain.std() / np.sqrt(ROLLOUTS), "feedback takes back what noise has done"


def test_replanning_acts_as_the_feedback_of_one_plan_does():
    """On a linear system with quadratic costs a new plan from where the noise has led is the old one's feedback law."""
    case, plan = problem()
    stages, last = [], []
    for t in range(H - 1):  # a plan has two stages at least
        rest = LinearGaussianDynamics(case.dynamics.F[t:], case.dynamics.f[t:], case.dynamics.Sigma[t:])
        later = dataclasses.replace(case, dynamics=rest, horizon=H - t)
        later.parameters = case.parameters[t:]
        stages.append((later, later.planner("casadi")))

    def replanned(t, x, u):
        if t == H - 1:
            return execute(last.pop(0), "feedback", x, u, -FREE, FREE, 1)
        later, planner = stages[t]
        later.x0, later.u_previous = x, u
        planner.reset(x, u)
        found = later.plan(planner)
        if t == H - 2:
            last.append(copy.deepcopy(found))
        return np.array(found.u_hat[0])

    costs, U, _ = rolled(case, replanned, 20)
    feedback_costs, feedback_U, _ = acted(case, plan, "feedback", 20)
    assert U == pytest.approx(feedback_U, abs=1e-6)
    assert costs == pytest.approx(feedback_costs, rel=1e-6)


def test_an_uncertain_start_adds_its_value():
    case, plan = problem()
    S0 = np.diag([0.1, 0.2, 0.05])
    found = tube(plan, case.dynamics, "feedback", case.x0, case.u_previous, S0)
    value = expected_cost(case.cost, found, case.parameters, case.u_previous)
    V = lqr.solve(case.dynamics, *quadratic(case)).V[0]
    assert value == pytest.approx(exact(case) + 0.5 * np.sum(V * S0), rel=1e-9)


def test_a_plan_from_elsewhere_is_followed_from_there():
    case, plan = problem(change=True)
    case.x0 = case.x0 + 0.3
    costs = acted(case, plan, "feedback")[0]
    assert expected(case, plan, "feedback") == pytest.approx(costs.mean(), abs=4.0 * costs.std() / np.sqrt(ROLLOUTS))


def test_there_are_three_modes():
    case, plan = problem()
    with pytest.raises(ConfigurationError, match="no execution mode 'closed'"):
        tube(plan, case.dynamics, "closed", case.x0, case.u_previous)
