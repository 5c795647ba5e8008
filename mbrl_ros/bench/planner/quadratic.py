r"""The linear-quadratic problem that every solver is compared on, and one measure of how well it is solved.

    min  sum_{t<H} 1/2 z_t^T G_t z_t + g_t^T z_t  +  1/2 x_H^T G_H x_H + g_H^T x_H,      z = [x; u]
    s.t. x_{t+1} = F_t z_t + f_t,   x_0 given,   low <= u_t <= high

It is a reference problem expanded once along its first trajectory (Gauss-Newton), in absolute coordinates. X, U are
that trajectory: it satisfies the dynamics and the box, and is where every solver starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...codegen.symbolic import casadi
from ...costs import CostModel
from ...costs.cost_model import CostFunctions
from ...types import Array
from .problems import BenchProblem

LAST_HESSIAN = 1e-6  # added to the last stage's diagonal, so that every solver's Hessian is positive definite


@dataclass(frozen=True, eq=False, slots=True)
class QuadraticProblem:
    """F (H, nx, nz), f (H, nx), G (H, nz, nz), g (H, nz), G_last (nx, nx), g_last (nx,), the box (nu,), X, U."""

    F: Array
    f: Array
    G: Array
    g: Array
    G_last: Array
    g_last: Array
    low: Array
    high: Array
    X: Array
    U: Array

    @property
    def horizon(self) -> int:
        """The number of stages H."""
        return len(self.F)

    @property
    def nx(self) -> int:
        """The size of the state."""
        return int(self.F.shape[1])

    @property
    def nu(self) -> int:
        """The size of the command."""
        return int(self.F.shape[2] - self.F.shape[1])

    def rollout(self, U: Array) -> Array:
        """Return the states (H+1, nx) of the commands U (H, nu)."""
        X = np.empty((self.horizon + 1, self.nx))
        X[0] = self.X[0]
        for t in range(self.horizon):
            X[t + 1] = self.F[t] @ np.concatenate([X[t], U[t]]) + self.f[t]
        return X


@dataclass(frozen=True, slots=True)
class Residual:
    """The largest violations of the optimality conditions, in the problem's own units."""

    stationarity: float
    feasibility: float
    complementarity: float

    @property
    def largest(self) -> float:
        """The largest of the three; NaN if one is."""
        return float(np.max([self.stationarity, self.feasibility, self.complementarity]))


def quadratise(problem: BenchProblem) -> QuadraticProblem:
    """Expand a reference problem along its first commands."""
    H, nx, nu, p = problem.horizon, problem.nx, problem.nu, problem.parameters
    nz, v = nx + nu, np.zeros(nu)
    X, g, G, F = np.empty((H + 1, nx)), np.empty((H, nz)), np.empty((H, nz, nz)), np.empty((H, nx, nz))
    f = np.empty((H, nx))
    X[0] = problem.x0
    for t in range(H):
        F[t], f[t], _ = problem.dynamics.at(t)
        gradient, hessian = problem.cost.stage_expansion(X[t], v, problem.U[t], p[t])
        G[t] = casadi.tril2symm(hessian).full()[:nz, :nz]
        g[t] = gradient.full().ravel()[:nz] - G[t] @ np.concatenate([X[t], problem.U[t]])
        X[t + 1] = problem.dynamics.predict(X[t], problem.U[t], t)
    gradient, hessian = problem.cost.terminal_expansion(X[H], p[H])
    G_last = casadi.tril2symm(hessian).full() + LAST_HESSIAN * np.eye(nx)
    # the gradient along the first trajectory is the problem's own: what is added to the Hessian is not added to it
    g_last = gradient.full().ravel() - G_last @ X[H]
    high = np.full(nu, problem.bound)
    return QuadraticProblem(F, f, G, g, G_last, g_last, -high, high, X, problem.U.copy())


def residual(problem: QuadraticProblem, X: Array, U: Array) -> Residual:
    r"""Return how far a solver's trajectory is from optimal, whatever the solver itself takes for its residual.

    The multipliers are recovered from the trajectory alone. Those of the dynamics make the Lagrangian stationary in x,

        l_H = G_H x_H + g_H,     l_t = (G_t z_t + g_t + F_t^T l_{t+1})_x

    which leaves the gradient in u, h_t = (G_t z_t + g_t + F_t^T l_{t+1})_u, to the multipliers of the box. With slack s
    to the bound that h pushes against, the multiplier mu leaves |h| - mu of the stationarity and mu s of the
    complementarity; mu = |h| / (1 + s) makes the larger of the two smallest.

    Parameters
    ----------
    problem
        What was to be solved.
    X
        States (H+1, nx).
    U
        Commands (H, nu).

    Returns
    -------
    Residual
        feasibility: of the first state, the dynamics and the box.
    """
    H, nx = problem.horizon, problem.nx
    h = np.empty_like(U)
    multiplier = problem.G_last @ X[H] + problem.g_last
    defects = [np.abs(X[0] - problem.X[0])]
    for t in reversed(range(H)):
        z = np.concatenate([X[t], U[t]])
        gradient = problem.G[t] @ z + problem.g[t] + problem.F[t].T @ multiplier
        multiplier, h[t] = gradient[:nx], gradient[nx:]
        defects.append(np.abs(problem.F[t] @ z + problem.f[t] - X[t + 1]))
    slack = np.maximum(np.where(h > 0.0, U - problem.low, problem.high - U), 0.0)
    with np.errstate(invalid="ignore"):
        share = np.where(np.isinf(slack), 1.0, slack / (1.0 + slack))
    outside = np.maximum(np.maximum(problem.low - U, U - problem.high), 0.0)
    left = float(np.max(np.abs(h) * share))  # of the stationarity, and of the complementarity as much
    return Residual(left, float(max(np.max(defects), np.max(outside))), left if np.isfinite(slack).any() else 0.0)


class QuadraticCost(CostModel):
    """The quadratic problem's objective as a cost of this package's planners; its entries are the parameters p.

    Only entries of G that are not zero at every stage are kept.
    """

    # CostModel.__init__ sums residual terms; this cost is given by its Hessian, and has the same functions
    def __init__(self, problem: QuadraticProblem):
        self.problem, self.nx, self.nu = problem, problem.nx, problem.nu
        self.uses_u_previous = False
        nz = self.nx + self.nu
        self._stage = _lower_entries(np.abs(problem.G).max(axis=0))
        self._last = _lower_entries(np.abs(problem.G_last))
        self.np = max(len(self._stage) + nz, len(self._last) + self.nx)
        sizes = {"x": self.nx, "u": self.nu, "v": self.nu, "p": self.np}
        x, u, v, p = (casadi.SX.sym(name, size) for name, size in sizes.items())
        z, zv = casadi.vertcat(x, u), casadi.vertcat(x, u, v)
        value, gradient, lower = _quadratic(z, p, self._stage, zv.numel())
        given, options = [x, v, u, p], {"cse": True}
        stage = casadi.Function("stage", given, [value], options)
        stage_expansion = casadi.Function("stage_expansion", given, [gradient, lower], options)
        value, gradient, lower = _quadratic(x, p, self._last, self.nx)
        last = casadi.Function("terminal", [x, p], [value], options)
        last_expansion = casadi.Function("terminal_expansion", [x, p], [gradient, lower], options)
        functions = CostFunctions(stage, stage_expansion, last, last_expansion, (stage, last))
        self._functions = lambda: functions

    def parameters(self, horizon: int) -> Array:
        """Return p (H+1, np) of the problem, whatever the horizon asked for."""
        problem = self.problem
        p = np.zeros((problem.horizon + 1, self.np))
        n, m = len(self._stage), len(self._last)
        for column, (i, j) in enumerate(self._stage):
            p[:-1, column] = problem.G[:, i, j]
        p[:-1, n : n + self.nx + self.nu] = problem.g
        p[-1, :m] = [problem.G_last[i, j] for i, j in self._last]
        p[-1, m : m + self.nx] = problem.g_last
        return p


def _lower_entries(magnitude: Array) -> list[tuple[int, int]]:
    return [(i, j) for i in range(len(magnitude)) for j in range(i + 1) if magnitude[i, j] > 0.0]


def _quadratic(
    z: casadi.SX, p: casadi.SX, entries: list[tuple[int, int]], size: int
) -> tuple[casadi.SX, casadi.SX, casadi.SX]:
    """Return value, gradient (size,) and lower triangle (size, size) of 1/2 z^T G z + g^T z with G and g from p."""
    n = z.numel()
    G, linear = casadi.SX(n, n), p[len(entries) : len(entries) + n]
    for column, (i, j) in enumerate(entries):
        G[i, j] = p[column]
    product = casadi.tril2symm(G) @ z
    gradient = casadi.densify(casadi.vertcat(product + linear, casadi.SX(size - n, 1)))
    lower = casadi.diagcat(G, casadi.SX(size - n, size - n)) if size > n else G
    return casadi.dot(z, 0.5 * product + linear), gradient, lower
