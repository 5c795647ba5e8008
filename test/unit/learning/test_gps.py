"""Guided policy search: the optimum of a linear-quadratic task, bounds that bind, local dynamics, the policy's fit."""

import casadi
import numpy as np
import pytest

from mbrl_ros.costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.data.store import Owner
from mbrl_ros.dynamics.state_equations import StateEquations
from mbrl_ros.exceptions import ConfigurationError
from mbrl_ros.learning.base import roll_out
from mbrl_ros.learning.catalog import learner
from mbrl_ros.learning.gps import GuidedLearner, Settings
from mbrl_ros.learning.gradients.network_policy import NetworkPolicy
from mbrl_ros.learning.gradients.policy_regression import fit_policy, regression_loss
from mbrl_ros.learning.guided.dynamics import fit_stages, mixture_of, sample_rows
from mbrl_ros.learning.guided.improvement import Improvement, divergences, multipliers
from mbrl_ros.planners import lqr
from mbrl_ros.planners.ilqr.kl_constraint import divergence
from mbrl_ros.tasks.base import Step, TaskInfo
from mbrl_ros.types import LinearGaussianDynamics

DT, STEPS, LIMIT = 0.1, 25, 20.0
STIFFNESS, DAMPING = 1.0, 0.4


class Spring:
    """qdd = u - q - 0.4 qd in the package's discrete form, one joint, and a quadratic cost: LQR is the optimum."""

    def __init__(self):
        limit = np.array([LIMIT])
        x, u, v = casadi.SX.sym("x", 2), casadi.SX.sym("u"), casadi.SX.sym("v")
        terms = [
            ("place", Term(x[0], TargetSettings(weight=10.0, terminal=1.0))),
            ("speed", Term(x[1], StateCostSettings(weight=0.5, terminal=1.0))),
            ("command", Term(u, CostSettings(weight=0.1))),
        ]
        seen = casadi.Function("observe", [x], [x])
        self.info = TaskInfo(("slider",), -limit, limit, DT, STEPS, 0.0, STEPS, CostModel(x, u, v, terms), seen)
        A, b = DT * np.array([[[-STIFFNESS, -DAMPING, 1.0]]]), np.zeros((1, 1))
        self.model = StateEquations(1, 0, DT).assemble(A, b, np.zeros((1, 1)), np.zeros((0, 1)))
        self._x = np.zeros(2)

    def reset(self, seed):
        self._x = np.random.default_rng(seed).uniform(0.5, 1.5, 2) * [1.0, 0.5]
        return self._x

    def step(self, u):
        before, u = self._x, np.clip(u, -LIMIT, LIMIT)
        self._x = self.model.F[0] @ np.append(before, u) + self.model.f[0]
        return Step(self._x, self.reward(before, u, self._x), False)

    def reward(self, x, u, x_next):
        return float(-5.0 * x[0] ** 2 - 0.25 * x[1] ** 2 - 0.05 * u[0] ** 2)

    def failed(self, x):
        return False

    def stages(self):
        """The model of every stage."""
        F, f = np.tile(self.model.F, (STEPS, 1, 1)), np.tile(self.model.f, (STEPS, 1))
        return LinearGaussianDynamics(F, f, 1e-4 * np.eye(2)[None])

    def optimum(self, x0):
        """The least cost from x0 (2,) without noise."""
        last = np.diag([10.0, 0.5])
        C = np.tile(np.diag([10.0, 0.5, 0.1]), (STEPS, 1, 1))
        return lqr.solve(self.model, C, np.zeros((STEPS, 3)), last, np.zeros(2)).cost(x0)

    def cost_of(self, start, controller):
        rollout = roll_out(self, start, controller)
        X = np.array([rollout.transitions[0].x, *(t.x_next for t in rollout.transitions)])
        U = np.array([t.u for t in rollout.transitions])
        return Improvement(self.info, 1.0).cost(X, U)


SMALL = {"conditions": 3, "samples": 2, "policy_hidden": 0, "temperature": 1e-3, "policy_iterations": 100}


@pytest.mark.slow(but=1)
@pytest.mark.parametrize("form, most", [("kl", 1.02), ("cost", 1.05)])
def test_on_a_linear_quadratic_task_the_controllers_and_the_policy_come_to_the_cost_of_lqr(form, most):
    task = Spring()
    found = GuidedLearner(task, 10, Settings.from_mapping({**SMALL, "form": form, "kl_step": 2.0, "weight_start": 0.1}))
    episodes = list(found.episodes(21))
    assert [episode.acted for episode in episodes[:7]] == 6 * ["local"] + ["policy"]
    for i, condition in enumerate(found.conditions):
        x0 = condition.x0
        best, law = task.optimum(x0), condition.controller
        mean = task.cost_of(10_000 + i, lambda t, x, law=law: law.U[t + 1] + law.K[t] @ (x - law.X[t]))
        assert best <= mean * 1.0001 and mean < most * best
    x0 = task.reset(5)
    assert task.cost_of(5, found.search.act_policy) < 1.1 * task.optimum(x0)  # a start that was not taught


def reference(improvement, x0, deviation=0.5):
    H, nu, nx = improvement.H, 1, 2
    P = np.tile(np.eye(nu) / deviation**2, (H, 1, 1))
    return improvement.controller(np.tile(x0, (H + 1, 1)), np.zeros((H, nu)), np.zeros((H, nu, nx)), P)


def test_the_bound_of_the_divergence_binds_and_is_kept_and_a_wide_one_does_not_bind():
    task, x0 = Spring(), np.array([1.0, 0.0])
    improvement, model = Improvement(task.info, 0.01), task.stages()
    policy = reference(improvement, x0)
    costs = []
    for bound in (5.0, 20.0, 80.0):
        found = improvement.within(model, bound, policy, x0)
        assert 0.95 * bound <= found.divergences.sum() <= bound and found.weights.min() > 0.0
        costs.append(found.cost)
    free = improvement.within(model, 1e6, policy, x0)
    assert (free.weights == 0.0).all()
    assert costs[0] > costs[1] > costs[2] > free.cost
    assert improvement.cost(free.controller.X, free.controller.U[1:]) == pytest.approx(task.optimum(x0), rel=1e-9)


def test_the_divergence_of_a_stage_adds_up_to_that_of_the_trajectory():
    task, x0 = Spring(), np.array([1.0, 0.3])
    improvement, model = Improvement(task.info, 0.05), task.stages()
    policy = reference(improvement, x0)
    new = improvement.weighted(model, np.full(STEPS, 0.2), policy, x0).controller
    each = divergences(new, policy, model.F, model.Sigma)
    assert (each > 0.0).all()
    assert each.sum() == pytest.approx(divergence(new, policy, model.F, model.Sigma), rel=1e-9)
    assert divergences(policy, policy, model.F, model.Sigma) == pytest.approx(np.zeros(STEPS), abs=1e-9)


def test_multipliers_grow_where_the_divergence_is_too_large_and_do_not_become_negative():
    found = multipliers(np.array([1.0, 1.0, 0.1]), np.array([5.0, 2.0, 0.0]), 2.0, 0.5)
    assert found == pytest.approx(np.array([2.5, 1.0, 0.0]))


def test_a_larger_multiplier_leaves_the_controller_nearer_to_the_policy_and_its_covariance():
    task, x0 = Spring(), np.array([1.0, 0.0])
    improvement, model = Improvement(task.info, 0.01), task.stages()
    policy = reference(improvement, x0)
    apart = [improvement.weighted(model, np.full(STEPS, w), policy, x0) for w in (0.1, 10.0, 1e6)]
    assert apart[0].divergences.sum() > apart[1].divergences.sum() > 1e-6
    assert apart[2].divergences.sum() < 1e-3
    assert apart[2].controller.P == pytest.approx(policy.P, rel=1e-3)


def test_two_samples_and_the_mixture_tell_the_dynamics_that_two_samples_alone_do_not():
    task, rng = Spring(), np.random.default_rng(0)
    rollouts = [roll_out(task, s, lambda t, x: rng.uniform(-3.0, 3.0, 1)) for s in range(8)]
    data = Dataset.empty(Owner(("slider",), "effort", DT))
    for rollout in rollouts:
        data = data.with_run(str(len(data.runs)), rollout.transitions)
    rows = [sample_rows(rollout.transitions) for rollout in rollouts[:2]]
    equations = StateEquations(1, 0, DT)
    fitted, alone = (fit_stages(rows, mixture_of(data, 0), equations, STEPS, count) for count in (1.0, 1e-9))
    errors = [np.abs(found.F - task.model.F).max(axis=(1, 2)).mean() for found in (fitted, alone)]
    assert errors[0] < 0.01 and errors[1] > 5.0 * errors[0]
    shorter = fit_stages([row[:10] for row in rows], mixture_of(data, 0), equations, STEPS, 1.0)
    np.testing.assert_array_equal(shorter.F[9:], np.tile(shorter.F[9], (STEPS - 9, 1, 1)))


@pytest.mark.parametrize("hidden", [0, 4])
def test_the_gradient_of_the_fit_is_that_of_finite_differences(hidden):
    rng = np.random.default_rng(1)
    upper = np.array([2.0, 0.0, 3.0])
    policy = NetworkPolicy(-upper, upper, np.zeros(9), np.ones(9), hidden)
    theta, X = 0.3 * rng.standard_normal(policy.size), rng.standard_normal((6, 6))
    s, U = policy.inputs_of(X), rng.standard_normal((6, 2))
    W = np.tile(np.array([[2.0, 0.3], [0.3, 1.0]]), (6, 1, 1))

    def loss(at):
        return regression_loss(policy, at, s, U, W, 0.1)

    numeric = [(loss(theta + d)[0] - loss(theta - d)[0]) / 2e-6 for d in 1e-6 * np.eye(policy.size)]
    assert loss(theta)[1] == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-8)
    commands = np.array([policy.act(x, theta)[[0, 2]] for x in X])
    assert regression_loss(policy, theta, s, commands, W, 0.0)[0] == pytest.approx(0.0, abs=1e-20)


def test_a_fit_finds_the_policy_that_gave_the_commands():
    rng = np.random.default_rng(2)
    policy = NetworkPolicy(-np.ones(1), np.ones(1), np.zeros(3), np.ones(3), 0)
    theta, X = 0.5 * rng.standard_normal(policy.size), rng.standard_normal((50, 2))
    U = np.array([policy.act(x, theta) for x in X])
    found = fit_policy(policy, np.zeros(policy.size), X, U, np.ones((50, 1, 1)), 0.0, 500)
    assert found == pytest.approx(theta, abs=1e-3)


def test_a_cost_of_the_last_command_and_a_wrong_form_are_refused():
    with pytest.raises(ConfigurationError, match="form"):
        learner("gps", {"form": "neither"})
    info = Spring().info
    x, u, v = casadi.SX.sym("x", 2), casadi.SX.sym("u"), casadi.SX.sym("v")
    changing = CostModel(x, u, v, [("change", Term(u - v, CostSettings()))])
    with pytest.raises(ConfigurationError, match="without the last command"):
        Improvement(TaskInfo(info.joints, info.u_lower, info.u_upper, DT, STEPS, 0.0, STEPS, changing), 1.0)
