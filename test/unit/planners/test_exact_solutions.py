"""The planner where the answer is known: Riccati, a dense quadratic programme, collocation, Monte Carlo."""

import casadi
import numpy as np
import pytest

from mbrl_ros.codegen.compiler import find_compiler
from mbrl_ros.planners import execution, lqr
from mbrl_ros.planners.ilqr.box_qp import box_step
from mbrl_ros.types import LinearGaussianDynamics, PlanStatus
from support.planner_problems import collocation, constant_part, quadratic, random_case

BACKENDS = ([pytest.param("compiled", marks=pytest.mark.slow)] if find_compiler() else []) + ["casadi"]
backends = pytest.mark.parametrize("backend", BACKENDS)


@pytest.mark.slow(but=1)
@backends
@pytest.mark.parametrize("size", [(2, 1, 20), (7, 3, 15), (14, 7, 30)])
def test_unlimited_lq_problem_equals_riccati(backend, size):
    case = random_case(1, *size, bound=1e6, own=True)
    solution = lqr.solve(case.dynamics, *quadratic(case))
    plan = case.plan(case.planner(backend))
    assert plan.status == PlanStatus.CONVERGED
    x = case.x0
    constant = case.rollout(np.zeros((case.horizon, case.cost.nu)))[1]  # residual offsets make l(0, 0) positive
    for t in range(case.horizon):
        u = solution.K[t] @ x + solution.k[t]
        assert np.abs(plan.u_hat[t] - u).max() <= 1e-9 * (1 + np.abs(u).max())
        x = case.dynamics.predict(x, u, t)
    assert np.abs(plan.K - solution.K).max() <= 1e-9 * np.abs(solution.K).max()
    noiseless = lqr.solve(
        LinearGaussianDynamics(case.dynamics.F, case.dynamics.f, 0 * case.dynamics.Sigma), *quadratic(case)
    )
    offset = constant_part(case)
    assert plan.cost == pytest.approx(noiseless.cost(case.x0) + offset, rel=1e-9)
    assert constant > plan.cost


def test_exact_cost_is_the_mean_of_noisy_rollouts():
    case = random_case(5, 3, 2, 10, bound=1e6)
    C, c, C_last, c_last = quadratic(case)
    solution = lqr.solve(case.dynamics, C, c, C_last, c_last)
    rng = np.random.default_rng(0)
    x, cost = np.tile(case.x0, (200_000, 1)), np.zeros(200_000)
    for t in range(case.horizon):
        z = np.concatenate([x, x @ solution.K[t].T + solution.k[t]], axis=1)
        cost += 0.5 * np.einsum("si,ij,sj->s", z, C[t], z) + z @ c[t]
        F, f, Sigma = case.dynamics.at(t)
        x = z @ F.T + f + rng.standard_normal(x.shape) @ np.linalg.cholesky(Sigma).T
    cost += 0.5 * np.einsum("si,ij,sj->s", x, C_last, x) + x @ c_last
    # five standard errors of the mean; leaving out tr(V Sigma) would miss by far more
    error = 5 * cost.std() / np.sqrt(len(cost))
    assert abs(cost.mean() - solution.cost(case.x0)) < error
    quiet = lqr.solve(
        LinearGaussianDynamics(case.dynamics.F, case.dynamics.f, 0 * case.dynamics.Sigma), C, c, C_last, c_last
    )
    assert solution.cost(case.x0) - quiet.cost(case.x0) > 10 * error


def test_box_step_meets_the_optimality_conditions():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        n = int(rng.integers(1, 8))
        A = rng.standard_normal((n, n + 1)) * 10.0 ** rng.uniform(-1, 1, (n, 1))
        Q, q = A @ A.T + 1e-6 * np.eye(n), rng.standard_normal(n) * 10.0 ** rng.uniform(-1, 1.5)
        lower, upper = -rng.uniform(0, 1, n) * (rng.random(n) > 0.2), rng.uniform(0, 1, n)
        k, _ = box_step(Q, q, lower, upper, np.zeros((n, 1)))
        gradient = q + Q @ k
        # k is optimal where a step along -gradient leads back to it after clamping
        assert np.abs(k - np.clip(k - gradient / np.diag(Q), lower, upper)).max() < 1e-9


@backends
@pytest.mark.parametrize("seed", range(4))
def test_box_limited_lq_problem_equals_a_qp_solver(backend, seed):
    case = random_case(seed, 4, 2, 15, change=seed % 2 == 1, bound=0.3)
    problem, low, high, states = collocation(case)
    solver = casadi.qpsol("qp", "qpoases", problem, {"printLevel": "none", "sparse": False})
    answer = solver(lbx=low, ubx=high, lbg=0, ubg=0)
    U = answer["x"].full().ravel()[states:].reshape(case.horizon, -1)
    plan = case.plan(case.planner(backend))
    assert plan.status == PlanStatus.CONVERGED
    assert np.mean(np.isclose(np.abs(U), case.u_upper, atol=1e-9)) > 0.1  # the box does bind
    assert np.abs(plan.u_hat - U).max() < 1e-6
    assert plan.cost == pytest.approx(case.rollout(U)[1], rel=1e-9)
    assert (plan.u_hat >= case.u_lower).all() and (plan.u_hat <= case.u_upper).all()


@pytest.mark.slow(but=4)
@backends
@pytest.mark.parametrize("seed", range(4))
def test_nonlinear_optimum_equals_collocation(backend, seed):
    case = random_case(10 + seed, 4, 2, 12, nonlinear=True, model=True, change=seed % 2 == 1, bound=0.5)
    problem, low, high, states = collocation(case)
    plan = case.plan(case.planner(backend, iterations=300))
    start = np.concatenate([plan.x_hat.ravel(), plan.u_hat.ravel()])
    quiet = {"ipopt.print_level": 0, "print_time": False, "ipopt.tol": 1e-10, "ipopt.sb": "yes"}
    solver = casadi.nlpsol("nlp", "ipopt", problem, quiet)
    warm = solver(x0=start, lbx=low, ubx=high, lbg=0, ubg=0)  # from the plan: the same local optimum, if it is one
    assert plan.cost == pytest.approx(float(warm["f"]), rel=1e-4)
    U = warm["x"].full().ravel()[states:].reshape(case.horizon, -1)
    assert np.abs(plan.u_hat - U).max() < 1e-2


@pytest.mark.slow
@backends
def test_second_order_terms_make_convergence_quadratic(backend):
    case = random_case(22, 4, 2, 20, model=True, bound=10.0, stages=1)
    case.dynamics.F[:] *= 0.7
    best = case.plan(case.planner(backend, iterations=300)).cost
    near = np.array(case.plan(case.planner(backend, iterations=4)).u_hat)
    errors = {}
    for second_order in (False, True):
        planner = case.planner(backend, second_order=second_order, iterations=2, tolerance=0.0)
        planner.U[:] = near
        errors[second_order] = case.plan(planner).cost / best - 1.0
    # from 6e-4, Gauss-Newton gains a factor of about 30 per iteration; Newton squares the error, to rounding
    assert 1e-8 < errors[False] < 1e-4
    assert abs(errors[True]) < 1e-11


@pytest.mark.slow(but=1)
@backends
def test_state_limits_hold_in_the_plan(backend):
    case = random_case(4, 4, 2, 20, bound=3.0)
    case.x0 = np.zeros(4)
    free = case.plan(case.planner(backend))
    peak = np.abs(free.x_hat[:, 1]).max()
    x_upper = np.full(4, np.inf)
    x_upper[1] = 0.5 * peak
    planner = case.planner(
        backend,
        state_limits=True,
        x_lower=-x_upper,
        x_upper=x_upper,
        limit_penalty=10.0,
        limit_precision=1e-8,
        tolerance=1e-12,
    )
    plan = case.plan(planner)
    assert plan.status == PlanStatus.CONVERGED
    assert np.abs(plan.x_hat[:, 1]).max() <= x_upper[1] + 1e-6
    problem, low, high, states = collocation(case)
    high[:states] = np.tile(np.where(np.isfinite(x_upper), x_upper, np.inf), case.horizon + 1)
    low[:states] = -high[:states]
    answer = casadi.qpsol("qp", "qpoases", problem, {"printLevel": "none"})(lbx=low, ubx=high, lbg=0, ubg=0)
    assert plan.cost == pytest.approx(float(answer["f"]), rel=1e-5)
    again = case.plan(planner, ticks=0)  # the barrier stays sharp: nothing is left to do
    assert again.iterations <= 2


@pytest.mark.slow(but=1)
@backends
def test_kl_bound_holds_and_binds(backend):
    case = random_case(6, 4, 2, 15, nonlinear=True, model=True, bound=5.0)
    planner = case.planner(backend, iterations=3, kl_bound=0.5, kl_steps=30)
    assert case.plan(planner).usable and planner.solver.tick.eta == 0.0  # the first plan has no predecessor
    measured, divergence = [], planner.solver.divergence
    planner.solver.divergence = lambda: measured.append(divergence()) or measured[-1]
    plan = case.plan(planner, ticks=0, x0=case.x0 + 0.5)
    assert plan.usable and planner.solver.tick.eta > 0.0
    assert measured[0] > 10.0  # without the bound
    assert 0.45 <= measured[-1] <= 0.5


def controller_of(planner):
    memory = planner.memory
    values = {"x_hat": memory.x_hat, "u_hat": planner.U, "K": memory.K, "K_u": memory.K_u, "Q_uu": memory.Q_uu}
    return {name: value.copy() for name, value in values.items()}


@backends
def test_kl_divergence_equals_that_of_the_trajectories_joint_gaussians(backend):
    case = random_case(9, 2, 1, 4, change=True, bound=1e6)
    case.x0 = np.array([0.3, -0.2])
    planner = case.planner(backend, iterations=1, kl_bound=1.0)
    case.plan(planner)
    old = controller_of(planner)
    planner.memory.x0[:] = case.x0 = case.x0 + 0.4
    planner.solver.tick.ticks, planner.solver.tick.eta = 0, 0.7
    planner.memory.Sigma[:] = case.dynamics.Sigma
    planner.solver.solve()
    given = planner.solver.divergence()
    planner.solver.commit()
    new = controller_of(planner)
    assert not np.allclose(new["u_hat"], old["u_hat"])
    (mean_p, cov_p), (mean_q, cov_q) = (trajectory_gaussian(case, policy) for policy in (new, old))
    inverse = np.linalg.inv(cov_q)
    expected = 0.5 * (
        np.trace(inverse @ cov_p)
        - len(mean_p)
        + (mean_q - mean_p) @ inverse @ (mean_q - mean_p)
        + np.linalg.slogdet(cov_q)[1]
        - np.linalg.slogdet(cov_p)[1]
    )
    assert given == pytest.approx(expected, rel=1e-6)


def trajectory_gaussian(case, policy):
    """Mean and covariance of (u_0, x_1, u_1, .. x_H) from sums of the independent noises, one column each."""
    nx, nu, H = 2, 1, case.horizon
    columns = H * (nu + nx)
    x, v = (case.x0, np.zeros((nx, columns))), (case.u_previous, np.zeros((nu, columns)))
    means, spreads = [], []
    for t in range(H):
        v_hat = policy["u_hat"][t - 1] if t else case.u_previous
        K, K_u = policy["K"][t], policy["K_u"][t]
        u_mean = policy["u_hat"][t] + K @ (x[0] - policy["x_hat"][t]) + K_u @ (v[0] - v_hat)
        u_spread = K @ x[1] + K_u @ v[1]
        u_spread[:, t * (nu + nx) : t * (nu + nx) + nu] += np.linalg.cholesky(np.linalg.inv(policy["Q_uu"][t]))
        F, f, Sigma = case.dynamics.at(t)
        x_spread = F[:, :nx] @ x[1] + F[:, nx:] @ u_spread
        x_spread[:, t * (nu + nx) + nu : (t + 1) * (nu + nx)] += np.linalg.cholesky(Sigma)
        x, v = (F @ np.concatenate([x[0], u_mean]) + f, x_spread), (u_mean, u_spread)
        means += [u_mean, x[0]]
        spreads += [u_spread, x_spread]
    spread = np.concatenate(spreads)
    return np.concatenate(means), spread @ spread.T


@backends
def test_three_ways_to_act(backend):
    case = random_case(8, 4, 2, 10, change=True, bound=100.0)
    plan = case.plan(case.planner(backend))
    x, low, high = plan.x_hat[3] + 0.1, case.u_lower, case.u_upper
    u_previous = plan.u_hat[2] + 0.05
    law = plan.u_hat[3] + plan.K[3] @ (0.1 * np.ones(4)) + plan.K_u[3] @ (0.05 * np.ones(2))
    assert np.array_equal(execution.execute(plan, "open_loop", x, u_previous, low, high, 3), plan.u_hat[3])
    assert np.allclose(execution.execute(plan, "feedback", x, u_previous, low, high, 3), law, atol=1e-12)
    rng = np.random.default_rng(0)
    sampled = np.array(
        [execution.execute(plan, "gaussian", x, u_previous, -np.inf, np.inf, 3, rng) for _ in range(20_000)]
    )
    covariance = np.linalg.inv(plan.Q_uu[3])
    # standard error of a variance from N draws: sqrt(2 / N) = 1 % of it
    assert np.allclose(np.cov(sampled.T), covariance, atol=0.05 * np.abs(covariance).max())
    assert np.allclose(sampled.mean(axis=0), law, atol=5 * np.sqrt(covariance.max() / 20_000))
