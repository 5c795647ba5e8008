r"""The local controller of one initial state, improved in its local dynamics and kept near the policy.

    min_p  E_p[ sum_t l(x_t, u_t) + l_H(x_H) ] - T sum_t H(p_t)  +  sum_t w_t E_p[ KL(p(u_t|x_t) || pi_t(u_t|x_t)) ]

over p(u_t|x_t) = N(u_hat_t + K_t (x_t - x_hat_t), P_t^-1), with pi_t the policy linearized about the trajectory. Since
KL = -H(p) - E log pi, this is the linear-quadratic problem of the cost l - w_t log pi_t at the temperature T + w_t: the
expansion of the cost gains w_t/2 e^T P_pi e with e = u - mean of pi_t, Riccati's recursion is that of planners/lqr.py,
and P_t = Q_uu / (T + w_t). It is expanded again about its own trajectory until that stands (iLQR).

    cost  w_t given: Lagrange multipliers, which `multipliers` moves once an iteration,
          w_t <- max(0, w_t + beta (KL_t - step))
    kl    one w for all stages such that sum_t KL_t = bound, by bisection of log w; 0 where the bound does not bind

(Levine & Abbeel, NIPS 2014; Montgomery & Levine, NIPS 2016). Limits of commands are clipped to, not planned for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...exceptions import ConfigurationError
from ...planners import lqr
from ...planners.ilqr.evaluator import Evaluator
from ...planners.ilqr.kl_constraint import Controller, add_kl_term
from ...planners.ilqr.problem import Problem
from ...tasks.base import TaskInfo
from ...types import Array, LinearGaussianDynamics, StateVector

EXPANSIONS, HALVINGS, SMALL_GAIN = 10, 6, 1e-4  # of one plan; of a step; relative to the objective
LEAST_MULTIPLIER, LARGEST_MULTIPLIER, CLOSE_TO_BOUND, WEIGHTS_TRIED = 1e-6, 1e8, 0.05, 20


@dataclass(frozen=True, eq=False, slots=True)
class Improved:
    """A new local controller; its divergences (H,) [nats] from the policy, the weights (H,), and its expected cost."""

    controller: Controller
    divergences: Array
    weights: Array
    cost: float


class Improvement:
    """Improves controllers of a task with the commands `active`, the indices of those that are not passive."""

    def __init__(self, info: TaskInfo, temperature: float):
        problem = Problem(info.cost)
        if info.cost.uses_u_previous:
            raise ConfigurationError("guided policy search needs a cost of x and u alone, without the last command")
        self.info, self.temperature, self.H = info, temperature, info.steps
        self.active = np.flatnonzero(info.u_upper > info.u_lower)
        self.lower, self.upper = info.u_lower[self.active], info.u_upper[self.active]
        self._evaluate, self._p = Evaluator(problem, self.H, (1,)), info.cost.parameters(self.H)
        nx = 2 * info.n
        self._kept = np.concatenate([np.arange(nx), nx + self.active])

    def controller(self, X: Array, U: Array, K: Array, P: Array) -> Controller:
        """Return N(U_t + K_t (x - X_t), P_t^-1); X (H+1, nx), U (H, nu), K (H, nu, nx), P (H, nu, nu)."""
        anywhere = np.full(len(self.active), np.inf)
        return Controller(X, np.vstack([np.zeros(len(self.active)), U]), K, P, -anywhere, anywhere)

    def within(self, model: LinearGaussianDynamics, bound: float, policy: Controller, x0: StateVector) -> Improved:
        """Return the best controller whose divergence from `policy` is at most `bound` [nats] (form `kl`)."""
        found = self.weighted(model, np.zeros(self.H), policy, x0)
        if found.divergences.sum() <= bound:
            return found
        low, high, weight, kept = LEAST_MULTIPLIER, LARGEST_MULTIPLIER, 1.0, None
        for _ in range(WEIGHTS_TRIED):
            found = self.weighted(model, np.full(self.H, weight), policy, x0)
            reached = float(found.divergences.sum())
            if reached <= bound:
                kept, high = found, weight
                if reached >= (1.0 - CLOSE_TO_BOUND) * bound:
                    break
                weight = max(math.sqrt(low * high), 0.1 * high)
            else:
                low = weight
                weight = min(math.sqrt(low * high), 10.0 * low)
        return kept or self.weighted(model, np.full(self.H, LARGEST_MULTIPLIER), policy, x0)

    def weighted(self, model: LinearGaussianDynamics, weights: Array, policy: Controller, x0: StateVector) -> Improved:
        """Return the best controller for given weights w_t (H,) (form `cost`)."""
        F, f = model.F[:, :, self._kept], model.f
        X, U = self.roll(F, f, x0, policy.U[1:], policy.X, policy.K)
        value = self._objective(X, U, weights, policy)
        for count in range(EXPANSIONS + 1):
            solution = self._solve(F, model.Sigma, X, U, weights, policy)
            if count == EXPANSIONS:
                break
            for step in 0.5 ** np.arange(HALVINGS):
                X_new, U_new = self.roll(F, f, x0, U + step * solution.k, X, solution.K)
                value_new = self._objective(X_new, U_new, weights, policy)
                if value_new < value:
                    break
            if not value_new < value - SMALL_GAIN * abs(value):
                break
            X, U, value = X_new, U_new, value_new
        P = solution.Q_uu / (self.temperature + weights)[:, None, None]
        new = self.controller(X, U, solution.K, P)
        return Improved(new, divergences(new, policy, F, model.Sigma), weights, self.expected_cost(new, model))

    def roll(self, F: Array, f: Array, x0: StateVector, U: Array, X_ref: Array, K: Array) -> tuple[Array, Array]:
        """Return the mean trajectory X (H+1, nx), U (H, nu) of clip(U_t + K_t (x - X_ref_t)) in the model F, f."""
        X, found = np.empty((self.H + 1, len(x0))), np.empty_like(U)
        X[0] = x0
        for t in range(self.H):
            found[t] = np.clip(U[t] + K[t] @ (X[t] - X_ref[t]), self.lower, self.upper)
            X[t + 1] = F[t] @ np.concatenate([X[t], found[t]]) + f[t]
        return X, found

    def cost(self, X: Array, U: Array) -> float:
        """Return the cost of a trajectory X (H+1, nx), U (H, nu)."""
        return float(self._evaluate.costs(X[:, None], self._all(U)[:, None], self._p)[0])

    def expected_cost(self, controller: Controller, model: LinearGaussianDynamics) -> float:
        """Return the expected cost of a controller in the model, the cost expanded to second order about its mean."""
        X, U = controller.X, controller.U[1:]
        _, G, _, G_last = self._evaluate.expand(X, self._all(U), self._p)
        G, total = G[:, self._kept[:, None], self._kept], self.cost(X, U)
        nx = X.shape[1]
        S = np.zeros((nx, nx))
        for t in range(self.H):
            M = np.vstack([np.eye(nx), controller.K[t]])
            joint = M @ S @ M.T
            joint[nx:, nx:] += np.linalg.inv(controller.P[t])
            total += 0.5 * float(np.sum(G[t] * joint))
            F = model.F[t][:, self._kept]
            S = F @ joint @ F.T + model.Sigma[0]
        return total + 0.5 * float(np.sum(G_last * S))

    def _all(self, U: Array) -> Array:
        """Return commands (H+1, n) of all joints, the one before the first being 0, of those that are active."""
        found = np.zeros((len(U) + 1, self.info.n))
        found[1:, self.active] = U
        return found

    def _objective(self, X: Array, U: Array, weights: Array, policy: Controller) -> float:
        e = U - policy.U[1:] - np.einsum("tij,tj->ti", policy.K, X[:-1] - policy.X[:-1])
        return self.cost(X, U) + 0.5 * float(np.einsum("t,ti,tij,tj->", weights, e, policy.P, e))

    def _solve(
        self, F: Array, Sigma: Array, X: Array, U: Array, weights: Array, policy: Controller
    ) -> lqr.LinearQuadraticSolution:
        """Solve the problem of the deviations from X, U."""
        g, G, g_last, G_last = self._evaluate.expand(X, self._all(U), self._p)
        C, c = G[:, self._kept[:, None], self._kept], g[:, self._kept]
        U_all = np.vstack([np.zeros(len(self.active)), U])
        for t in np.flatnonzero(weights):
            add_kl_term(C[t], c[t], int(t), X, U_all, policy, float(weights[t]))
        deviations = LinearGaussianDynamics(F, np.zeros((self.H, X.shape[1])), Sigma)
        return lqr.solve(deviations, C, c, np.array(G_last), np.array(g_last))


def divergences(new: Controller, policy: Controller, F: Array, Sigma: Array) -> Array:
    """Return E_new KL(new(u_t|x_t) || policy(u_t|x_t)) (H,) [nats], x_t distributed as `new` and the noise make it.

    F (H, nx, nx+nu), Sigma (1, nx, nx). The first state is certain.
    """
    H, nu, nx = new.K.shape
    S, found = np.zeros((nx, nx)), np.zeros(H)
    for t in range(H):
        e, K_policy = policy.law(new.X, new.U, t)
        P, C, dK = policy.P[t], np.linalg.inv(new.P[t]), new.K[t] - K_policy
        logs = np.linalg.slogdet(new.P[t])[1] - np.linalg.slogdet(P)[1]
        found[t] = 0.5 * (e @ P @ e + np.sum(P * (C + dK @ S @ dK.T)) - nu + logs)
        closed, B = F[t][:, :nx] + F[t][:, nx:] @ new.K[t], F[t][:, nx:]
        S = closed @ S @ closed.T + B @ C @ B.T + Sigma[0]
    return found


def multipliers(weights: Array, divergence: Array, step: float, rate: float) -> Array:
    """Return max(0, w_t + rate (KL_t - step)) (H,): one step of dual ascent."""
    return np.maximum(0.0, weights + rate * (divergence - step))
