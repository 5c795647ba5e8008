"""Both gradients of a policy in a model against finite differences; what baseline, truncation and value do to them."""

import casadi
import numpy as np
import pytest

from mbrl_ros.costs import CostModel, CostSettings, StateCostSettings, Term
from mbrl_ros.dynamics.gaussian_ensemble import EnsembleSettings, features, fit
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.learning.gradients.gaussian_expression import parameters_size, step_expression
from mbrl_ros.learning.gradients.likelihood_ratio import LikelihoodRatio, baseline
from mbrl_ros.learning.gradients.network_policy import NetworkPolicy
from mbrl_ros.learning.gradients.pathwise import Pathwise
from mbrl_ros.learning.gradients.policy_rollouts import PolicyProblem, Rollouts, draw
from support.motor_pole import MotorPole

H, K = 8, 6
ONE = np.ones(1)


def learned(hidden=3, std=0.3):
    """Return a policy on two networks fitted to a pole on a motor, and the networks' parameters."""
    task, rng = MotorPole(), np.random.default_rng(0)
    X, U, Y = [], [], []
    for seed in range(5):
        x = task.reset(seed)
        for u in rng.uniform(-1.0, 1.0, (40, 1)):
            X, U = [*X, x], [*U, u]
            x = task.step(u).x
            Y.append(x[1:] - X[-1][1:])
    settings = EnsembleSettings(networks=2, hidden=8, updates=300)
    ensemble = fit(features(np.array(X), np.array(U)), np.array(Y), settings, 0)
    policy = NetworkPolicy(-ONE, ONE, np.zeros(3), np.ones(3), hidden)
    step = step_expression(ensemble.shape, task.info.dt)
    return PolicyProblem(task.info.cost, policy, step, parameters_size(ensemble.shape), std), ensemble


def linear(std=0.5, gain=1.2, change=0.0):
    """Return a linear policy on q' = q + 0.1 qd, qd' = gain qd + 0.5 u + 0.1 eps, with a quadratic cost.

    The limits of the commands are so far off that tanh is linear. change: weight of (u - v)^2 / 2, v the last command.
    """
    x, u, v = casadi.SX.sym("x", 2), casadi.SX.sym("u"), casadi.SX.sym("v")
    terms = [("state", Term(x, StateCostSettings())), ("effort", Term(u, CostSettings(weight=0.1)))]
    terms += [("change", Term(u - v, CostSettings(weight=change)))] if change else []
    far = 1e3

    def step(x, u, eps, w):
        return casadi.vertcat(x[0] + 0.1 * x[1], gain * x[1] + 0.5 * u + 0.1 * eps)

    policy = NetworkPolicy(-far * ONE, far * ONE, np.zeros(2), far * np.ones(2), 0, lambda x: x)
    return PolicyProblem(CostModel(x, u, v, terms), policy, step, 0, std / far)


def scenarios(problem, rollouts=K, horizon=H, members=1, replicates=1, seed=0):
    starts = np.random.default_rng(1).uniform(-0.5, 0.5, (20, problem.cost.nx))
    rng = np.random.default_rng([seed, 2])
    return draw(rng, starts, members, rollouts, horizon, problem.policy.outputs, replicates)


def theta_of(problem, seed=0):
    rng = np.random.default_rng([seed, 3])
    return problem.policy.initial(rng) + 0.3 * rng.standard_normal(problem.policy.size)


def differences(function, theta, step=1e-5):
    """Return the central differences (size of theta, ...) of a function of theta."""
    return np.array([(function(theta + e) - function(theta - e)) / (2.0 * step) for e in step * np.eye(len(theta))])


def test_the_expression_of_a_member_is_what_the_ensemble_predicts():
    problem, ensemble = learned()
    rng, sizes = np.random.default_rng(0), (2, 1, 1, problem.model_size)
    given = [casadi.MX.sym(name, size) for name, size in zip("xuew", sizes, strict=True)]
    step = casadi.Function("step", given, [problem.step(*given)])
    for x, u in zip(rng.uniform(-2.0, 2.0, (10, 2)), rng.uniform(-1.0, 1.0, (10, 1)), strict=True):
        mean, std = ensemble.predict(features(x[None], u[None]))
        for m, w in enumerate(ensemble.parameters):
            found = step(x, u, 0.7, w).full()[:, 0]
            rate = x[1] + mean[m, 0, 0] + 0.7 * std[m, 0, 0]
            assert found == pytest.approx([x[0] + 0.025 * (x[1] + rate), rate], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("hidden", [0, 3])
def test_backpropagation_is_the_finite_difference_of_what_was_drawn(hidden):
    problem, ensemble = learned(hidden)
    drawn, p, theta = scenarios(problem, members=2), problem.cost.parameters(H), theta_of(problem)
    pathwise = Pathwise(problem, H, K)
    costs, gradients = pathwise(theta, ensemble.parameters, drawn, p)
    assert costs.shape == (2 * K,) and gradients.shape == (2 * K, problem.policy.size)
    expected = differences(lambda at: pathwise(at, ensemble.parameters, drawn, p)[0], theta).T
    assert gradients == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_truncated_gradient_is_that_of_segments_from_states_that_stay():
    problem, ensemble = learned()
    drawn, p, theta, W = scenarios(problem), problem.cost.parameters(H), theta_of(problem), ensemble.parameters[:1]
    X = Rollouts(problem, H, K)(theta, W[0], drawn.x0[0], drawn.eps[0], drawn.xi[0], p)[0]
    half = Rollouts(problem, H // 2, K)

    def from_kept_states(at):
        first, second = (
            half(at, W[0], X[:, t], drawn.eps[0][:, t : t + 4], drawn.xi[0][:, t : t + 4], p[t : t + 5])[2]
            for t in (0, 4)
        )
        return first[:, :-1].sum(axis=1) + second.sum(axis=1)

    found = Pathwise(problem, H, K, segment=4)(theta, W, drawn, p)[1]
    assert found == pytest.approx(differences(from_kept_states, theta).T, rel=1e-4, abs=1e-6)


def test_the_command_before_a_segment_stays_as_it_was():
    problem, W, theta = linear(std=0.0, change=3.0), np.zeros((1, 0)), np.array([-0.3, -0.6, 0.01])
    drawn, p = scenarios(problem), problem.cost.parameters(H)
    p[H] = 0.0
    X, U, _ = Rollouts(problem, H, K)(theta, W[0], drawn.x0[0], drawn.eps[0], drawn.xi[0], p)
    before = np.concatenate([np.zeros((K, 1, 1)), U[:, :-1]], axis=1)

    def stages(at):
        return np.array(
            [
                sum(
                    float(problem.cost.stage(X[k, t], before[k, t], problem.policy.act(X[k, t], at), p[t]))
                    for t in range(H)
                )
                for k in range(K)
            ]
        )

    found = Pathwise(problem, H, K, segment=1)(theta, W, drawn, p)[1]
    assert found == pytest.approx(differences(stages, theta).T, rel=1e-4, abs=1e-4)


def expected_gradient(problem, theta, horizon, replicates=4000):
    """Return dJ/dtheta by finite differences of the mean cost of many rollouts under common random numbers."""
    drawn, p = scenarios(problem, replicates, horizon, seed=7), problem.cost.parameters(horizon)
    rollouts = Rollouts(problem, horizon, replicates)

    def J(at):
        return rollouts(at, np.zeros(0), drawn.x0[0], drawn.eps[0], drawn.xi[0], p)[2].sum(axis=1).mean()

    return differences(J, theta, 1e-3)


def estimates(kind, problem, theta, horizon, rollouts=40, batches=200, replicates=1, **options):
    """Return the gradients (batches, size of theta) of batches of rollouts."""
    gradient, p = kind(problem, horizon, rollouts, **options), problem.cost.parameters(horizon)
    W = np.zeros((1, 0))
    return np.array(
        [
            gradient(theta, W, scenarios(problem, rollouts, horizon, replicates=replicates, seed=100 + i), p)[1].mean(
                axis=0
            )
            for i in range(batches)
        ]
    )


@pytest.mark.parametrize(
    "kind, options",
    [
        (Pathwise, {}),
        (Pathwise, {"segment": 3, "bootstrap": True}),
        (LikelihoodRatio, {"replicates": 1}),
        (LikelihoodRatio, {"replicates": 4}),
    ],
)
def test_every_gradient_without_bias_is_on_average_that_of_the_expected_cost(kind, options):
    problem, gains = linear(), slice(0, 2)
    theta = np.array([-0.2, -0.4, 0.0])
    found = estimates(kind, problem, theta, 6, **options)[:, gains]
    wanted = expected_gradient(problem, theta, 6)[gains]
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (4.0 * error < 0.25 * np.linalg.norm(wanted)).all(), "the average is exact enough to fail"
    assert (np.abs(found.mean(axis=0) - wanted) <= 4.0 * error + 0.02 * np.abs(wanted)).all()


@pytest.mark.slow
def test_truncation_is_a_bias_that_the_value_removes():
    problem, gains, theta = linear(), slice(0, 2), np.array([-0.2, -0.4, 0.0])
    wanted = expected_gradient(problem, theta, 12)[gains]
    cut, valued = (
        estimates(Pathwise, problem, theta, 12, segment=2, bootstrap=bootstrap)[:, gains].mean(axis=0)
        for bootstrap in (False, True)
    )
    assert np.linalg.norm(cut - wanted) > 0.3 * np.linalg.norm(wanted)
    assert np.linalg.norm(valued - wanted) < 0.1 * np.linalg.norm(wanted)


def test_segments_and_value_bound_the_growth_of_the_gradient_with_the_horizon():
    """An unstable closed loop: what is drawn early is amplified by every later stage."""
    problem, theta, spread = linear(gain=1.3), np.array([0.0, -0.1, 0.0]), {}
    for name, options in (("whole", {}), ("cut", {"segment": 4})):
        found = [estimates(Pathwise, problem, theta, horizon, 10, 20, **options)[:, 1].std() for horizon in (8, 24)]
        spread[name] = found[1] / found[0]
    assert spread["cut"] < 0.5 * spread["whole"]


def test_the_baseline_of_common_random_numbers_leaves_the_mean_and_takes_variance_away():
    problem, theta = linear(std=0.1), np.array([-0.2, -0.4, 0.0])
    plain, grouped = (
        estimates(LikelihoodRatio, problem, theta, 6, replicates=replicates)[:, 1].std() for replicates in (1, 4)
    )
    assert grouped < 0.6 * plain


def test_the_baseline_is_the_mean_of_the_others_of_the_group():
    to_go = np.array([[1.0], [3.0], [10.0], [30.0]])
    assert baseline(to_go, 2)[:, 0].tolist() == [3.0, 1.0, 30.0, 10.0]
    assert baseline(to_go, 4)[0, 0] == pytest.approx(43.0 / 3.0)
    assert (baseline(to_go, 1) == 0.0).all()


def test_replicates_share_start_and_noise_of_the_model_and_differ_by_the_policy():
    drawn = scenarios(linear(), 6, replicates=3)
    for shared in (drawn.x0[0], drawn.eps[0]):
        assert (shared[0] == shared[2]).all() and (shared[2] != shared[3]).any()
    assert (drawn.xi[0, 0] != drawn.xi[0, 1]).all()


def test_common_random_numbers_take_away_what_grows_as_the_exploration_shrinks():
    """Alone, the noise of start and model is divided by std; a group's baseline subtracts it."""

    def growth(replicates):
        small, large = (
            estimates(LikelihoodRatio, linear(std), np.array([-0.2, -0.4, 0.0]), 6, replicates=replicates)[:, 1].std()
            for std in (0.02, 0.2)
        )
        return small / large

    assert growth(1) > 5.0 and growth(4) < 1.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind, options", [(Pathwise, {"segment": 4, "bootstrap": True}), (LikelihoodRatio, {})])
def test_a_rollout_that_diverges_gives_no_gradient_and_no_warning(kind, options):
    problem = linear(gain=1e200)
    drawn, p = scenarios(problem, replicates=2), problem.cost.parameters(H)
    costs, gradients = kind(problem, H, K, **options)(np.zeros(3), np.zeros((1, 0)), drawn, p)
    assert not np.isfinite(costs).any() and not np.isfinite(gradients).all(axis=1).any()


def test_segments_must_divide_the_horizon():
    with pytest.raises(ConfigurationError, match="must divide the horizon, 8"):
        Pathwise(linear(), H, K, segment=3)


def test_a_passive_joint_has_no_command_and_limits_hold():
    policy = NetworkPolicy(np.array([-1.0, 0.0]), np.array([3.0, 0.0]), np.zeros(6), np.ones(6), 4)
    rng = np.random.default_rng(0)
    theta = 100.0 * rng.standard_normal(policy.size)
    U = np.array([policy.act(x, theta) for x in rng.standard_normal((50, 4))])
    assert policy.outputs == 1 and (U[:, 1] == 0.0).all()
    assert U[:, 0].min() >= -1.0 and U[:, 0].max() <= 3.0 and np.ptp(U[:, 0]) > 3.0
    assert policy.act(np.ones(4), policy.initial(rng)) == pytest.approx([1.0, 0.0])
