r"""The gradient of a policy by likelihood ratios: nothing is differentiated but the logarithm of the policy's density.

    dJ/dtheta = E sum_t grad log pi_theta(v_t | x_t) (R_t - b_t),    R_t = sum_{s >= t} l_s
    grad log pi_theta(v_t | x_t) = (dm_theta(x_t)/dtheta)^T xi_t / std

(Williams 1992; Sutton et al. 2000.) Costs before t do not depend on v_t and are left out. The baseline b_t of a rollout
is the mean of R_t over the other rollouts of its group, which share its start, its member and the noise of the model
(common random numbers) and differ by xi alone. A rollout is not in its own baseline, so that the estimate has no bias;
what start and noise add to R_t is in the baseline and cancels; without it their variance is divided by std^2. There are
no products of Jacobians.
"""

from __future__ import annotations

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array, StageParameters
from .policy_rollouts import PolicyProblem, Rollouts, Scenarios, columns, symbols


class LikelihoodRatio:
    """The gradient for K rollouts of H stages with each member; see the top of this module. std must be above 0."""

    def __init__(self, problem: PolicyProblem, horizon: int, rollouts: int):
        self._rollouts = Rollouts(problem, horizon, rollouts)
        self._H, self._std = horizon, problem.std
        theta, w, x0, eps, xi, p = symbols(problem, horizon)
        X = casadi.MX.sym("X", problem.cost.nx, horizon)
        weights = casadi.MX.sym("weights", problem.policy.outputs, horizon)
        mean = casadi.horzcat(*[problem.policy.mean(X[:, t], theta) for t in range(horizon)])
        score = casadi.gradient(casadi.sum1(casadi.sum2(weights * mean)), theta)
        one = casadi.Function("score", [theta, X, weights], [score])
        self._score = one.map("scores", "serial", rollouts, [0], [])

    def __call__(self, theta: Array, W: Array, drawn: Scenarios, p: StageParameters) -> tuple[Array, Array]:
        """Return the costs (M K,) of the rollouts and the terms (M K, size of theta) whose mean is the gradient.

        W (M, size of w): the members.
        """
        costs, gradients = [], []
        for w, x0, eps, xi in zip(W, drawn.x0, drawn.eps, drawn.xi, strict=True):
            X, _, stages = self._rollouts(theta, w, x0, eps, xi, p)
            with np.errstate(all="ignore"):  # rollouts may diverge
                to_go = np.cumsum(stages[:, ::-1], axis=1)[:, ::-1]
                advantage = to_go[:, : self._H] - baseline(to_go[:, : self._H], drawn.replicates)
                weights = advantage[..., None] * xi / self._std
            gradients.append(self._score(theta, columns(X[:, : self._H]), columns(weights)).full().T)
            costs.append(to_go[:, 0])
        return np.concatenate(costs), np.concatenate(gradients)


def baseline(to_go: Array, replicates: int) -> Array:
    """Return the mean (K, H) over the other rollouts of each one's group of costs to go (K, H); 0 in a group of one."""
    if replicates < 2:
        return np.zeros_like(to_go)
    groups = to_go.reshape(-1, replicates, to_go.shape[1])
    others: Array = (groups.sum(axis=1, keepdims=True) - groups) / (replicates - 1)
    return others.reshape(to_go.shape)
