r"""One iteration of guided policy search: fit the dynamics, improve the local controllers, fit the policy to them.

For each initial state i there is a local controller p_i, and for all of them one policy pi_theta:

    sample p_i  ->  fit p(x'|x, u) about the samples (dynamics.py)  ->  improve p_i near pi_theta (improvement.py)
    ->  min_theta sum_{i,t} E_{p_i} 1/2 e^T P_{t,i} e,   e = mu_theta(x) - m_{t,i}(x),   P_theta = mean P_{t,i}

m_{t,i} is the mean of p_i. The states of that expectation are those of the samples and those that p_i comes to in its
own local dynamics, which cost no trial. The divergence that an improvement may have is its own for every initial state:
with the improvement `expected` in the model and the one that the next samples show (`actual`), it is multiplied by

    expected / (2 max(expected - actual, small)),   within [SHRINK, GROW],

which is larger the better the local dynamics predict (Levine & Abbeel, NIPS 2014, its appendix).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...data.dataset import Dataset
from ...data.store import Owner
from ...dynamics.state_equations import StateEquations
from ...planners.ilqr.kl_constraint import Controller
from ...tasks.base import TaskInfo
from ...types import Array, CommandVector, LinearGaussianDynamics, StateVector
from ..base import Rollout
from ..gradients.network_policy import NetworkPolicy
from ..gradients.policy_regression import fit_policy
from .dynamics import fit_stages, mixture_of, sample_rows
from .improvement import Improved, Improvement, divergences, multipliers
from .settings import GuidedSettings

SHRINK, GROW, LEAST_BOUND, LARGEST_BOUND = 0.2, 5.0, 1e-3, 1e3  # factors; [nats per stage]
LEAST_SEEN_SCALE = 0.05  # least standard deviation that an input of the policy is divided by
SMALL_PART = 1e-3  # of the expected improvement
CONTROLLER_STREAM = 4  # beside a seed


@dataclass(eq=False)
class Condition:
    """One initial state: its controller, bound [nats per stage] and weights (H,), and its newest samples."""

    x0: StateVector
    controller: Controller
    bound: float
    weights: Array
    rollouts: list[Rollout] = field(default_factory=list)
    model: LinearGaussianDynamics | None = None
    sampled_cost: float = np.nan
    expected_cost: float = np.nan


class GuidedSearch:
    """The controllers and the policy of a task; see the top of this module."""

    def __init__(self, info: TaskInfo, settings: GuidedSettings, seed: int):
        self.info, self.settings, self._seed = info, settings, seed
        self.rng = np.random.default_rng([seed, CONTROLLER_STREAM])
        self.improvement = Improvement(info, settings.temperature)
        self._equations = StateEquations(info.n, 0, info.dt)
        self._data = Dataset.empty(Owner(info.joints, "effort", info.dt))
        half = 0.5 * (self.improvement.upper - self.improvement.lower)
        self._P = np.diag(1.0 / (settings.exploration * half) ** 2)  # of the policy
        self.policy: NetworkPolicy | None = None
        self.theta = np.zeros(0)
        self.conditions: list[Condition] = []

    def begin(self, x0: StateVector) -> Condition:
        """Add an initial state, whose first controller is random commands about the middle of their range."""
        improvement, H = self.improvement, self.improvement.H
        nx, nu = len(x0), len(improvement.active)
        middle = np.tile(0.5 * (improvement.lower + improvement.upper), (H, 1))
        controller = improvement.controller(
            np.tile(x0, (H + 1, 1)), middle, np.zeros((H, nu, nx)), np.tile(self._P, (H, 1, 1))
        )
        weights = np.full(H, self.settings.weight_start)
        self.conditions.append(Condition(x0, controller, self.settings.kl_step, weights))
        return self.conditions[-1]

    def act(self, condition: Condition, t: int, x: StateVector) -> CommandVector:
        """Return a command (n,) drawn from the local controller, within its limits."""
        controller = condition.controller
        mean = controller.U[t + 1] + controller.K[t] @ (x - controller.X[t])
        factor = np.linalg.cholesky(controller.P[t])
        drawn = mean + np.linalg.solve(factor.T, self.rng.standard_normal(len(mean)))
        return self._command(np.clip(drawn, self.improvement.lower, self.improvement.upper))

    def act_policy(self, t: int, x: StateVector) -> CommandVector:
        """Return the policy's command (n,) at x, without exploration; the middle of the range before it is fitted."""
        if self.policy is None:
            return 0.5 * (self.info.u_lower + self.info.u_upper)
        return self.policy.act(x, self.theta)

    def add(self, rollout: Rollout) -> None:
        """Add an episode to what the mixture is fitted to."""
        self._data = self._data.with_run(f"episode {len(self._data.runs)}", rollout.transitions)

    def iterate(self) -> None:
        """Fit, improve, and fit the policy; takes the newest samples of every initial state."""
        settings = self.settings
        mixture = mixture_of(self._data, self._seed, settings.components)
        found: list[Improved] = []
        for condition in self.conditions:
            rows = [sample_rows(rollout.transitions) for rollout in condition.rollouts]
            condition.model = fit_stages(rows, mixture, self._equations, self.info.steps, settings.prior_count)
            self._adapt(condition)
            found.append(self._improve(condition, condition.model))
        for condition, improved in zip(self.conditions, found, strict=True):
            condition.controller, condition.expected_cost = improved.controller, improved.cost
        self._fit_policy()
        for condition in self.conditions:
            if settings.form == "cost":
                self._raise_weights(condition)
            condition.rollouts = []

    def linearized(self, X: Array) -> Controller:
        """Return the policy linearized at the states X (H+1, nx), or random commands before it is fitted."""
        improvement, H = self.improvement, self.improvement.H
        active, P = improvement.active, np.tile(self._P, (H, 1, 1))
        if self.policy is None:
            U = np.tile(0.5 * (improvement.lower + improvement.upper), (H, 1))
            return improvement.controller(X, U, np.zeros((H, len(active), X.shape[1])), P)
        U = np.array([self.policy.act(x, self.theta)[active] for x in X[:-1]])
        K = np.array([self.policy.slope(x, self.theta)[active] for x in X[:-1]])
        return improvement.controller(X, U, K, P)

    def _command(self, u: Array) -> CommandVector:
        whole = 0.5 * (self.info.u_lower + self.info.u_upper)
        whole[self.improvement.active] = u
        return whole

    def _mean_states(self, condition: Condition) -> Array:
        """Return the mean (H+1, nx) of the samples; after the last one that was seen, its state."""
        found = np.tile(condition.x0, (self.info.steps + 1, 1))
        for t in range(self.info.steps):
            there = [r.transitions[t].x_next for r in condition.rollouts if t < len(r.transitions)]
            found[t + 1] = np.mean(there, axis=0) if there else found[t]
        return found

    def _adapt(self, condition: Condition) -> None:
        """Change the bound by what the last improvement was expected to bring and what the samples show."""
        before, whole = condition.sampled_cost, [r for r in condition.rollouts if len(r.transitions) == self.info.steps]
        if not whole:
            condition.sampled_cost = np.nan
            return
        condition.sampled_cost = float(np.mean([self._cost_of(rollout) for rollout in whole]))
        expected, actual = before - condition.expected_cost, before - condition.sampled_cost
        if not (np.isfinite(expected) and expected > 0.0):
            return
        factor = expected / (2.0 * max(expected - actual, SMALL_PART * expected))
        condition.bound = float(np.clip(condition.bound * np.clip(factor, SHRINK, GROW), LEAST_BOUND, LARGEST_BOUND))

    def _cost_of(self, rollout: Rollout) -> float:
        X = np.array([rollout.transitions[0].x, *(t.x_next for t in rollout.transitions)])
        return self.improvement.cost(X, np.array([t.u for t in rollout.transitions])[:, self.improvement.active])

    def _improve(self, condition: Condition, model: LinearGaussianDynamics) -> Improved:
        policy = self.linearized(self._mean_states(condition))
        if self.settings.form == "cost":
            return self.improvement.weighted(model, condition.weights, policy, condition.x0)
        return self.improvement.within(model, condition.bound * self.info.steps, policy, condition.x0)

    def _raise_weights(self, condition: Condition) -> None:
        """Move the weights (form `cost`) by the divergence from the policy that has been fitted."""
        if condition.model is None:
            return
        kept = np.concatenate([np.arange(2 * self.info.n), 2 * self.info.n + self.improvement.active])
        policy = self.linearized(condition.controller.X)
        divergence = divergences(condition.controller, policy, condition.model.F[:, :, kept], condition.model.Sigma)
        settings = self.settings
        condition.weights = multipliers(condition.weights, divergence, settings.kl_step, settings.weight_rate)

    def _fit_policy(self) -> None:
        """Fit the policy to all local controllers."""
        states, commands, weights = [], [], []
        for condition in self.conditions:
            for X in self._states(condition):
                controller = condition.controller
                mean = controller.U[1:] + np.einsum("tij,tj->ti", controller.K, X - controller.X[:-1])
                states.append(X)
                commands.append(np.clip(mean, self.improvement.lower, self.improvement.upper))
                weights.append(controller.P)
        X, U, W = np.concatenate(states), np.concatenate(commands), np.concatenate(weights)
        if self.policy is None:
            self.policy = self._new_policy(X)
            self.theta = self.policy.initial(self.rng)
        settings = self.settings
        self._P = W.mean(axis=0)
        scaled = W / (np.trace(self._P) / len(self._P))
        self.theta = fit_policy(self.policy, self.theta, X, U, scaled, settings.ridge, settings.policy_iterations)

    def _states(self, condition: Condition) -> list[Array]:
        """Return trajectories (H, nx): whole samples, the controller's mean, and what it does in its local dynamics."""
        H, controller, model = self.info.steps, condition.controller, condition.model
        found = [np.array([t.x for t in r.transitions]) for r in condition.rollouts if len(r.transitions) == H]
        found.append(controller.X[:-1])
        if model is None:
            return found
        noise = np.linalg.cholesky(model.Sigma[0] + 1e-12 * np.eye(2 * self.info.n))
        spread = self.settings.start_spread * np.std([c.x0 for c in self.conditions], axis=0)
        for _ in range(self.settings.model_rollouts):
            X = np.empty((H, 2 * self.info.n))
            x = condition.x0 + spread * self.rng.standard_normal(2 * self.info.n)
            for t in range(H):
                X[t], u = x, self.act(condition, t, x)
                x = model.F[t] @ np.concatenate([x, u]) + model.f[t] + noise @ self.rng.standard_normal(len(x))
            found.append(X)
        return found

    def _new_policy(self, X: Array) -> NetworkPolicy:
        """Return a policy whose inputs are scaled to the states X (T, nx)."""
        info, hidden = self.info, self.settings.policy_hidden
        features = {} if info.observe is None else {"features": info.observe}
        size = 3 * info.n if info.observe is None else info.observe.size1_out(0)
        probe = NetworkPolicy(info.u_lower, info.u_upper, np.zeros(size), np.ones(size), 0, **features)
        f = probe.inputs_of(X)
        return NetworkPolicy(
            info.u_lower, info.u_upper, f.mean(axis=0), np.maximum(f.std(axis=0), LEAST_SEEN_SCALE), hidden, **features
        )
