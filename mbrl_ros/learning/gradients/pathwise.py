r"""The gradient of a policy by backpropagation through the model, whole, truncated or with a learned value.

With A_t = dx_{t+1}/dx_t of the closed loop and B_t = dx_{t+1}/dtheta at a fixed x_t, both for what was drawn,

    dJ/dtheta = sum_t (dl_t/dtheta + dl_t/dx_t sum_{s<t} A_{t-1} ... A_{s+1} B_s)

(Heess et al., NIPS 2015). The products of Jacobians shrink or grow with the horizon as the largest singular values of A
do, and the gradient's variance with them. Two remedies cut the H stages into segments of `segment` stages, at whose
first state the derivative stops, so that no product is longer than a segment:

    truncated      sum_k d/dtheta sum_{t in k} l_t: what a segment does to those after it is not seen, a bias
    bootstrapped   sum_k d/dtheta (sum_{t in k} l_t + V_{k+1}(x at its end)): seen through V

with V_k(x) = c_k [1; s; s s^T], s the inputs of the policy, the regression over the rollouts of the costs from the end
of a segment on (least-squares Monte Carlo; Longstaff and Schwartz 2001). Where V_k is the expected cost to go, there is
no bias. The regression's weights depend on x alone and fall as |s|^-4, so that a few states far away do not decide it.
"""

from __future__ import annotations

import numpy as np

from ...codegen.symbolic import casadi
from ...exceptions import ConfigurationError
from ...types import Array, StageParameters
from .policy_rollouts import PolicyProblem, Rollouts, Scenarios, columns, symbols

VALUE_RIDGE = 1e-3  # of the regression, relative to each feature's mean square


class Pathwise:
    """The gradient for K rollouts of H stages with each member; see the top of this module.

    segment: stages of a segment, which divides H; 0: H, without any cut. bootstrap: with V.
    Raises ConfigurationError if `segment` does not divide H.
    """

    def __init__(self, problem: PolicyProblem, horizon: int, rollouts: int, segment: int = 0, bootstrap: bool = False):
        self._H, self._h, self._bootstrap = horizon, segment or horizon, bootstrap
        if horizon % self._h:
            raise ConfigurationError(f"must divide the horizon, {horizon}", key="segment", value=segment)
        self._rollouts = Rollouts(problem, horizon, rollouts)
        self._features = value_features(problem)
        one = _segment(problem, self._h, self._features)
        self._segment = one.map("segments", "serial", rollouts, [0, 1, 5, 7, 8], [])
        self._inputs = problem.policy.inputs_size

    def __call__(self, theta: Array, W: Array, drawn: Scenarios, p: StageParameters) -> tuple[Array, Array]:
        """Return the costs (M K,) of the rollouts and the terms (M K, size of theta) whose mean is the gradient.

        W (M, size of w): the members.
        """
        starts, befores, costs = [], [], []
        for w, x0, eps, xi in zip(W, drawn.x0, drawn.eps, drawn.xi, strict=True):
            X, U, stages = self._rollouts(theta, w, x0, eps, xi, p)
            starts.append(X[:, : self._H : self._h])
            befores.append(np.concatenate([np.zeros_like(U[:, :1]), U[:, self._h - 1 : -1 : self._h]], axis=1))
            costs.append(stages)
        cuts = self._H // self._h
        values = self._values(np.concatenate(starts), np.concatenate(costs))
        total = np.zeros((len(W), len(drawn.x0[0]), len(theta)))
        for m, w in enumerate(W):
            for k in range(cuts):
                t = slice(k * self._h, (k + 1) * self._h)
                given = starts[m][:, k].T, columns(drawn.eps[m][:, t]), columns(drawn.xi[m][:, t])
                stages_p, last = p[k * self._h : (k + 1) * self._h + 1].T, float(k == cuts - 1)
                total[m] += self._segment(theta, w, *given, stages_p, befores[m][:, k].T, values[k], last).full().T
        return np.concatenate(costs).sum(axis=1), total.reshape(-1, len(theta))

    def _values(self, starts: Array, costs: Array) -> Array:
        """Return the coefficients (cuts, number of features) of V at the end of each segment; 0 without V.

        starts (M K, cuts, nx): first states of the segments; costs (M K, H+1): of the stages.
        """
        cuts = starts.shape[1]
        found = np.zeros((cuts, self._features.size1_out(0)))
        if self._bootstrap:
            for k in range(1, cuts):
                found[k - 1] = self._regression(starts[:, k], costs[:, k * self._h :].sum(axis=1))
        return found

    def _regression(self, X: Array, to_go: Array) -> Array:
        """Return the coefficients of V for the costs to go (N,) from X (N, nx); rows that diverged are left out."""
        kept = np.isfinite(X).all(axis=1) & np.isfinite(to_go)
        if not kept.any():
            return np.zeros(self._features.size1_out(0))
        Psi = self._features(X[kept].T).full().T
        size = (Psi[:, 1 : 1 + self._inputs] ** 2).sum(axis=1)
        weights = 1.0 / (1.0 + size / max(float(np.median(size)), 1e-12))  # of the residuals, so squared in the sum
        Psi, y = Psi * weights[:, None], to_go[kept] * weights
        normal = Psi.T @ Psi / len(Psi)
        ridge = VALUE_RIDGE * np.maximum(normal.diagonal(), 1e-12)
        ridge[0] = 1e-12  # the constant is free
        found: Array = np.linalg.solve(normal + np.diag(ridge), Psi.T @ y / len(Psi))
        return found


def value_features(problem: PolicyProblem) -> casadi.Function:
    """Return x (nx,) -> [1; s; the products of two entries of s]."""
    x = casadi.MX.sym("x", problem.cost.nx)
    s = casadi.vertsplit(problem.policy.inputs(x))
    products = [a * b for i, a in enumerate(s) for b in s[i:]]
    return casadi.Function("features", [x], [casadi.vertcat(1.0, *s, *products)])


def _segment(problem: PolicyProblem, h: int, features: casadi.Function) -> casadi.Function:
    """(theta, w, x0, eps, xi, p, u before, c, last) -> gradient of the segment's costs, of V and, if last, of l_H."""
    cost, policy = problem.cost, problem.policy
    theta, w, x0, eps, xi, p = symbols(problem, h)
    before, last = casadi.MX.sym("before", cost.nu), casadi.MX.sym("last")
    c = casadi.MX.sym("c", features.size1_out(0))
    x, u, total = x0, before, casadi.MX(0.0)
    for t in range(h):
        previous, u = u, policy.command(policy.mean(x, theta) + problem.std * xi[:, t])
        total += cost.stage(x, previous, u, p[:, t])
        x = problem.step(x, u, eps[:, t], w)
    total += last * cost.terminal(x, p[:, h]) + casadi.dot(c, features(x))
    given = [theta, w, x0, eps, xi, p, before, c, last]
    return casadi.Function("segment", given, [casadi.gradient(total, theta)])
