"""Random planning problems for the tests of the planner, all from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import casadi
import numpy as np

from mbrl_ros.config.sections.planner import PlannerSettings
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from mbrl_ros.planners.ilqr.ilqr import IlqrPlanner
from mbrl_ros.types import LinearGaussianDynamics


@dataclass
class Case:
    cost: CostModel
    dynamics: LinearGaussianDynamics
    x0: np.ndarray
    u_previous: np.ndarray
    u_lower: np.ndarray
    u_upper: np.ndarray
    horizon: int
    model: casadi.Function | None = None
    symbols: tuple = ()

    def __post_init__(self):
        self.parameters = self.cost.parameters(self.horizon)

    def planner(self, backend="compiled", x_lower=None, x_upper=None, **settings) -> IlqrPlanner:
        settings = {"iterations": 100, "tolerance": 1e-15, "second_order": False, **settings}
        planner = IlqrPlanner(
            self.cost,
            PlannerSettings(horizon=self.horizon, backend=backend, **settings),
            self.cost.nx,
            self.cost.nu,
            self.u_lower,
            self.u_upper,
            self.model,
            x_lower,
            x_upper,
        )
        planner.reset(self.x0, self.u_previous)
        return planner

    def plan(self, planner, ticks=1, x0=None):
        return planner.plan(self.x0 if x0 is None else x0, self.dynamics, self.parameters, self.u_previous, ticks)

    def rollout(self, U):
        """States (H+1, nx) and cost of the commands U (H, nu), one stage after the other."""
        x, v, total, X = self.x0, self.u_previous, 0.0, [self.x0]
        for t, u in enumerate(U):
            total += float(self.cost.stage(x, v, u, self.parameters[t]))
            successor = self.dynamics.predict(x, u, t)
            if self.model is not None:
                successor = successor + self.model(x, u).full().ravel()
            x, v = successor, u
            X.append(x)
        return np.array(X), total + float(self.cost.terminal(x, self.parameters[-1]))


def random_case(
    seed,
    nx,
    nu,
    horizon,
    *,
    nonlinear=False,
    change=False,
    stages=None,
    model=False,
    bound=1.0,
    positions=False,
    own=False,
) -> Case:
    """A random problem: quadratic or smooth-absolute nonlinear cost, with or without a cost on changes of command.

    own: with constants of the cost that follow the seed, too, and so a kernel of its own.
    positions: x = [q; qd; s; sd] with nu joints, q' = q + b qd + h qd', s' = s + c sd + g sd' and sd' = G qd'.
    """
    rng = np.random.default_rng(seed)
    # what a compiled kernel has as constants depends on the size alone, so that problems of one form share the kernel
    constants = rng if own else np.random.default_rng(1)
    M, R = constants.standard_normal((nx, nx)), constants.standard_normal((nu, nx + nu if own else nx))[:, :nx]

    symbols = x, u, v = casadi.SX.sym("x", nx), casadi.SX.sym("u", nu), casadi.SX.sym("v", nu)
    goal = casadi.SX.sym("goal", nx)
    r = casadi.SX(M) @ x - goal
    if nonlinear:
        r = r + casadi.sin(x)
    shape = TargetSettings(l2=1.0, l1=0.5, alpha=1e-2) if nonlinear else StateCostSettings()
    terms = [
        ("state", Term(r, shape, {"goal": (goal, rng.standard_normal(nx))})),
        ("command", Term(casadi.SX(0.5 * np.eye(nu)) @ u + 0.1 * casadi.SX(R) @ x, CostSettings())),
    ]
    if change:
        terms.append(("change", Term(u - v, CostSettings(weight=0.7))))
    cost = CostModel(x, u, v, terms)

    stages = horizon if stages is None else stages
    F = np.concatenate(
        [
            0.9 * np.eye(nx) + 0.2 * rng.standard_normal((stages, nx, nx)) / np.sqrt(nx),
            rng.standard_normal((stages, nx, nu)) / np.sqrt(nu),
        ],
        axis=2,
    )
    phi = None
    if model:
        W = constants.standard_normal((nx, nx + nu)) / np.sqrt(nx + nu)
        phi = casadi.Function("phi", [x, u], [0.3 * casadi.sin(casadi.SX(W) @ casadi.vertcat(x, u)) + 0.05 * x * u[0]])
    if positions:
        F, phi = _known_rows(rng, F, nu, phi, (x, u))
    dynamics = LinearGaussianDynamics(
        F, 0.1 * rng.standard_normal((stages, nx)), np.tile(0.01 * np.eye(nx), (stages, 1, 1))
    )
    high = bound * rng.uniform(0.2, 1.0, nu)
    return Case(cost, dynamics, rng.standard_normal(nx), rng.uniform(-high, high), -high, high, horizon, phi, symbols)


def _known_rows(rng, F, n, phi, symbols):
    """Return F, and phi where there is one, of x = [q; qd; s; sd] of which only the rows of qd' are kept."""
    nx = F.shape[1]
    m, rates = nx // 2 - n, slice(n, 2 * n)
    h, g = rng.uniform(0.05, 0.3, (n, 1)), rng.uniform(0.05, 0.3, (m, 1))
    G, E = rng.standard_normal((m, n)) / np.sqrt(n), np.eye(nx, nx + n)
    E[:n, rates] = np.diag(rng.uniform(0.0, 0.3, n))
    E[2 * n : 2 * n + m, 2 * n + m : nx] = np.diag(rng.uniform(0.0, 0.3, m))
    E[rates] = E[2 * n + m :] = 0.0
    F = F.copy()
    F[:, rates, 2 * n : nx] = 0.0
    F[:, 2 * n + m :] = G @ F[:, rates]
    F[:, :n], F[:, 2 * n : 2 * n + m] = h * F[:, rates], g * F[:, 2 * n + m :]
    if phi is not None:
        x, u = symbols
        qd = phi(casadi.vertcat(x[: 2 * n], casadi.SX(2 * m, 1)), u)[rates]
        sd = casadi.SX(G) @ qd
        phi = casadi.Function("phi", [x, u], [casadi.vertcat(casadi.SX(h) * qd, qd, casadi.SX(g) * sd, sd)])
    return F + E, phi


def quadratic(case):
    """C, c, C_last, c_last of a case whose cost is quadratic and free of the previous command."""
    nx, nu, H = case.cost.nx, case.cost.nu, case.horizon
    x, u, zero = np.zeros(nx), np.zeros(nu), np.zeros(nu)
    C, c = np.empty((H, nx + nu, nx + nu)), np.empty((H, nx + nu))
    for t in range(H):
        g, G = case.cost.stage_expansion(x, zero, u, case.parameters[t])
        C[t], c[t] = casadi.tril2symm(G).full()[: nx + nu, : nx + nu], g.full().ravel()[: nx + nu]
    g, G = case.cost.terminal_expansion(x, case.parameters[H])
    return C, c, casadi.tril2symm(G).full(), g.full().ravel()


def constant_part(case):
    """sum l(0, 0) + l_H(0), which C and c leave out."""
    nx, nu = case.cost.nx, case.cost.nu
    stages = sum(float(case.cost.stage(np.zeros(nx), np.zeros(nu), np.zeros(nu), p)) for p in case.parameters[:-1])
    return stages + float(case.cost.terminal(np.zeros(nx), case.parameters[-1]))


def collocation(case):
    """The same problem with states and commands as variables (a QP for quadratic costs, else an NLP)."""
    nx, nu, H = case.cost.nx, case.cost.nu, case.horizon
    X, U = casadi.MX.sym("X", nx, H + 1), casadi.MX.sym("U", nu, H)
    gap, total, v = [X[:, 0] - case.x0], 0, case.u_previous
    for t in range(H):
        total += case.cost.stage(X[:, t], v, U[:, t], case.parameters[t])
        F, f, _ = case.dynamics.at(t)
        successor = casadi.DM(F) @ casadi.vertcat(X[:, t], U[:, t]) + f
        if case.model is not None:
            successor += case.model(X[:, t], U[:, t])
        gap.append(X[:, t + 1] - successor)
        v = U[:, t]
    total += case.cost.terminal(X[:, H], case.parameters[H])
    w = casadi.vertcat(casadi.vec(X), casadi.vec(U))
    problem = {"x": w, "f": total, "g": casadi.vertcat(*gap)}
    low = np.concatenate([np.full(nx * (H + 1), -np.inf), np.tile(case.u_lower, H)])
    high = np.concatenate([np.full(nx * (H + 1), np.inf), np.tile(case.u_upper, H)])
    return problem, low, high, nx * (H + 1)
