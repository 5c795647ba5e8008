"""The costs of the reference problems in numpy, vectorized over stages, as a planner without CasADi would have them.

A `planners.ilqr.evaluator.CostEvaluator`; the derivatives are those of costs/base.py, the Jacobian of the chain is the
geometric one, d p / d q_i = z_i x (p - p_i).
"""

from __future__ import annotations

import numpy as np

from ...types import Array
from .problems import ALPHA, CHAIN, GOAL, GOAL_P2, PENDULUM, TERMINAL, TOOL, BenchProblem


class NumpyEvaluator:
    """The methods of an Evaluator, for one reference problem."""

    def __init__(self, problem: BenchProblem):
        self.name, self.nx, self.nu, self.weights = problem.name, problem.nx, problem.nu, problem.weights
        self.n = 2 if problem.name == "P2" else 7

    def expand(self, X: Array, U: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """Expand the cost along X (H+1, nx), U (H+1, nu), the previous commands first.

        Returns g (H, nz), G (H, nz, nz), g (nx,) and G (nx, nx) of the last stage.
        """
        H, nx, nz = len(X) - 1, self.nx, self.nx + self.nu
        g, G = np.zeros((H + 1, nz)), np.zeros((H + 1, nz, nz))
        speed, command = np.arange(self.n, 2 * self.n), np.arange(nx, nz)
        g[:, speed], G[:, speed, speed] = self.weights.speed * X[:, speed], self.weights.speed
        g[:-1, nx:], G[:-1, command, command] = self.weights.effort * U[1:], self.weights.effort
        for r, J, columns, (l1, l2) in self._residuals(X):
            s = np.sum(r * r, axis=1) + ALPHA
            root = np.sqrt(s)
            c, e = l2 + l1 / root, l1 / (s * root)
            M = c[:, None, None] * np.eye(r.shape[1]) - e[:, None, None] * r[:, :, None] * r[:, None, :]
            JT = J.transpose(0, 2, 1)
            g[:, columns] += (JT @ (c[:, None] * r)[:, :, None])[:, :, 0]
            G[:, columns, columns] += JT @ M @ J
        return g[:-1], G[:-1], TERMINAL * g[-1, :nx], TERMINAL * G[-1, :nx, :nx]

    def costs(self, Xs: Array, Us: Array, p: Array) -> Array:
        """Return the costs (S,) of S trajectories Xs (H+1, S, nx), Us (H+1, S, nu)."""
        H, S = Xs.shape[0] - 1, Xs.shape[1]
        X = Xs.reshape(-1, self.nx)
        cost = 0.5 * self.weights.speed * np.sum(X[:, self.n : 2 * self.n] ** 2, axis=1)
        for r, _, _, (l1, l2) in self._residuals(X):
            s = np.sum(r * r, axis=1)
            cost += l1 * np.sqrt(s + ALPHA) + 0.5 * l2 * s
        cost = cost.reshape(H + 1, S)
        effort = 0.5 * self.weights.effort * np.sum(Us[1:] ** 2, axis=(0, 2))
        return cost[:-1].sum(axis=0) + effort + TERMINAL * cost[-1]

    def _residuals(self, X: Array):
        """Return [(r (N, k), dr/dx (N, k, columns), columns, (l1, l2))] of every residual."""
        if self.name == "P2":
            s, c, zero = PENDULUM * np.sin(X[:, 1]), PENDULUM * np.cos(X[:, 1]), np.zeros(len(X))
            J = np.stack([np.stack([zero + 1.0, c], axis=1), np.stack([zero, -s], axis=1)], axis=1)
            return [(np.stack([X[:, 0] + s, c], axis=1) - GOAL_P2, J, slice(0, 2), self.weights.goal)]
        p, J = end_effector(X[:, :7])
        found = [(p - GOAL, J, slice(0, 7), self.weights.goal)]
        if self.name == "P23":
            r = X[:, 14:]
            found.append((r, np.broadcast_to(np.eye(12), (len(X), 12, 12)), slice(14, 26), self.weights.features))
        return found


def end_effector(q: Array) -> tuple[Array, Array]:
    """Return the tool position (N, 3) [m] and its Jacobian (N, 3, 7)."""
    N = len(q)
    R, p = np.broadcast_to(np.eye(3), (N, 3, 3)), np.zeros((N, 3))
    axes, origins = np.empty((N, 7, 3)), np.empty((N, 7, 3))
    c, s = np.cos(q), np.sin(q)
    for i, (a, d, alpha) in enumerate(CHAIN):
        ca, sa = np.cos(alpha), np.sin(alpha)
        p = p + R @ np.array([a, -sa * d, ca * d])
        T = np.zeros((N, 3, 3))
        T[:, 0, 0], T[:, 0, 1], T[:, 1, 2], T[:, 2, 2] = c[:, i], -s[:, i], -sa, ca
        T[:, 1, 0], T[:, 1, 1], T[:, 2, 0], T[:, 2, 1] = s[:, i] * ca, c[:, i] * ca, s[:, i] * sa, c[:, i] * sa
        R = R @ T
        axes[:, i], origins[:, i] = R[:, :, 2], p
    p = p + TOOL * R[:, :, 2]
    return p, np.cross(axes, p[:, None] - origins).transpose(0, 2, 1)
