r"""Three reference problems, from small to the size of an arm with a camera.

| name | nx | nu | states                          | goal                                                      |
|------|----|----|---------------------------------|-----------------------------------------------------------|
| P2   |  4 |  1 | cart and pendulum               | tip of the pendulum at a point                            |
| P7   | 14 |  7 | q, qd of a Panda                | end effector at a point, through the chain of 7 joints    |
| P23  | 26 |  7 | the same and 12 image features  | the same, and the features at theirs                      |

All have time-varying dynamics x' = F_t [x; u] + f_t given as arrays, the smooth absolute loss
w_1 sqrt(alpha + s) + w_2 s / 2 with s = |r|^2 on the goal, a quadratic cost on speed and effort, five times the state's
cost at the end, and a box on u that binds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...codegen.symbolic import casadi
from ...config.sections.planner import PlannerSettings
from ...costs import CostModel
from ...costs.base import CostSettings, StateCostSettings, TargetSettings, Term
from ...dynamics.priors.nonlinear_model import NonlinearModel, of_function
from ...planners.ilqr.ilqr import IlqrPlanner
from ...types import Array, LinearGaussianDynamics

PROBLEM_NAMES = ("P2", "P7", "P23")
ALPHA, TERMINAL = 1e-3, 5.0
# Modified Denavit-Hartenberg parameters (a [m], d [m], alpha [rad]) of the Panda's seven joints, and the tool's length.
CHAIN = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
)
TOOL = 0.2
PENDULUM = 0.5  # [m]
START_STATE = (0.0, -0.3, 0.0, -2.0, 0.0, 1.8, 0.7)  # [rad]
GOAL, GOAL_P2 = (0.45, 0.25, 0.45), (0.2, 0.5)  # [m]


@dataclass(frozen=True)
class Weights:
    """The weights (l1, l2) of the goal and of the features, and the quadratic ones of speed and effort."""

    goal: tuple[float, float] = (1.0, 10.0)
    features: tuple[float, float] = (0.3, 1.0)
    speed: float = 1e-2
    effort: float = 1e-3


@dataclass(frozen=True, eq=False, slots=True)
class BenchProblem:
    """A problem with its data: dynamics over H stages, x0 (nx,), first commands U (H, nu), bound of |u|."""

    name: str
    horizon: int
    cost: CostModel
    weights: Weights
    dynamics: LinearGaussianDynamics
    x0: Array
    U: Array
    bound: float

    @property
    def nx(self) -> int:
        """Return the size of the state."""
        return self.cost.nx

    @property
    def nu(self) -> int:
        """Return the size of the command."""
        return self.cost.nu

    @property
    def parameters(self) -> Array:
        """Return the stage parameters (H+1, np) of the cost."""
        return self.cost.parameters(self.horizon)

    def planner(self, backend: str, iterations: int = 1) -> IlqrPlanner:
        """Return an iLQR planner of this problem with one of the backends."""
        settings = PlannerSettings(horizon=self.horizon, iterations=iterations, backend=backend, tolerance=0.0)
        high = np.full(self.nu, self.bound)
        return IlqrPlanner(self.cost, settings, self.nx, self.nu, -high, high)

    def zero_model(self) -> NonlinearModel:
        """Return a nonlinear model that is zero, so that the linear dynamics are all there is."""
        x, u = casadi.SX.sym("x", self.nx), casadi.SX.sym("u", self.nu)
        return of_function(casadi.Function("zero", [x, u], [casadi.SX(self.nx, 1)]))


def make(name: str, horizon: int) -> BenchProblem:
    """Make the problem `name` of PROBLEM_NAMES; the data come from a fixed seed."""
    small, features = name == "P2", 12 if name == "P23" else 0
    n, nu = (2, 1) if small else (7, 7)
    nx = 2 * n + features
    weights = Weights(effort=1e-2) if small else Weights()
    rng = np.random.default_rng(0)
    A, B, dt = np.eye(nx), np.zeros((nx, nu)), 0.02
    A[:n, n : 2 * n] += dt * np.eye(n)
    if small:  # linearised cart and pendulum
        B[2, 0], B[3, 0], A[3, 1], A[2, 1] = 3.0 * dt, -2.0 * dt, 9.8 * dt, -0.7 * dt
    else:
        inverse_inertia = 4.0 * np.eye(7) + 0.5
        B[n : 2 * n], B[:n] = dt * inverse_inertia, dt**2 / 2 * inverse_inertia
    if features:
        A[14:, :7] += 0.02 * rng.standard_normal((features, 7))
        A[14:, 14:] *= 0.95
    f = 1e-3 * rng.standard_normal((horizon, nx))
    F = np.concatenate(
        [A + 3e-3 * rng.standard_normal((horizon, nx, nx)), B + 1e-3 * rng.standard_normal((horizon, nx, nu))], axis=2
    )
    x0 = np.zeros(nx)
    if small:
        x0[1] = 0.4
    else:
        x0[:7] = START_STATE
    dynamics = LinearGaussianDynamics(F, f, np.tile(1e-6 * np.eye(nx), (horizon, 1, 1)))
    U = 0.01 * rng.standard_normal((horizon, nu))
    return BenchProblem(
        name, horizon, cost_of(name, n, nx, nu, weights), weights, dynamics, x0, U, 8.0 if small else 2.0
    )


def cost_of(name: str, n: int, nx: int, nu: int, weights: Weights) -> CostModel:
    """Build the cost of a problem of n joints."""
    x, u, v = casadi.SX.sym("x", nx), casadi.SX.sym("u", nu), casadi.SX.sym("v", nu)

    def target(r: casadi.SX, reference, l1l2: tuple[float, float]) -> Term:
        symbol = casadi.SX.sym("reference", r.numel())
        return Term(
            r - symbol,
            TargetSettings(l1=l1l2[0], l2=l1l2[1], alpha=ALPHA, terminal=TERMINAL),
            {"reference": (symbol, np.asarray(reference, float))},
        )

    if name == "P2":
        tip = casadi.vertcat(x[0] + PENDULUM * casadi.sin(x[1]), PENDULUM * casadi.cos(x[1]))
        terms = [("goal", target(tip, GOAL_P2, weights.goal))]
    else:
        terms = [("goal", target(end_effector(x[:7]), GOAL, weights.goal))]
    if nx > 2 * n:
        terms.append(("features", target(x[2 * n :], np.zeros(nx - 2 * n), weights.features)))
    terms.append(("speed", Term(x[n : 2 * n], StateCostSettings(weight=weights.speed, terminal=TERMINAL))))
    terms.append(("effort", Term(u, CostSettings(weight=weights.effort))))
    return CostModel(x, u, v, terms)


def end_effector(q: casadi.SX) -> casadi.SX:
    """Return the tool position (3,) [m] of the chain: the tool's point, transformed joint by joint to the base."""
    p = casadi.SX([0.0, 0.0, TOOL])
    for (a, d, alpha), angle in zip(reversed(CHAIN), reversed(casadi.vertsplit(q)), strict=True):
        c, s, ca, sa = casadi.cos(angle), casadi.sin(angle), round(np.cos(alpha), 12), round(np.sin(alpha), 12)
        x, y = c * p[0] - s * p[1] + a, s * p[0] + c * p[1]
        p = casadi.vertcat(x, ca * y - sa * (p[2] + d), sa * y + ca * (p[2] + d))
    return p
