"""Problems whose limits of states bind, and their optimum by IPOPT."""

from __future__ import annotations

from dataclasses import dataclass

import casadi
import numpy as np

from mbrl_ros.bench.planner.problems import make
from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.types import LinearGaussianDynamics, Plan
from support.planner_problems import Case, collocation
from support.swing_up import cart_pole, pendulum

NAMES = ("double integrator", "pendulum", "cart-pole", "P7")


@dataclass
class Limited:
    """A case and its limits of states (nx,); its start keeps them."""

    case: Case
    x_lower: np.ndarray
    x_upper: np.ndarray

    def planner(self, backend, **settings):
        limits = {"x_lower": self.x_lower, "x_upper": self.x_upper, "state_limits": True}
        return self.case.planner(backend, **limits, **settings)

    def beyond(self, X) -> float:
        """By how much X (.., nx) is beyond a limit, in half ranges; 0 if it is not."""
        half = np.where(np.isfinite(self.x_upper - self.x_lower), 0.5 * (self.x_upper - self.x_lower), 1.0)
        return float(max(0.0, (np.maximum(X - self.x_upper, self.x_lower - X) / half).max()))

    def weigh(self, factor: float) -> Limited:
        """Multiply the cost by a factor."""
        for name, columns in self.case.cost.layout.items():
            if name.endswith(".weight"):
                self.case.parameters[:, columns] *= factor
        return self

    def optimum(self, start: Plan) -> tuple[float, np.ndarray, np.ndarray]:
        """Cost, X (H+1, nx) and U (H, nu) of the local optimum IPOPT finds from a plan."""
        case = self.case
        nx, nu, H = case.cost.nx, case.cost.nu, case.horizon
        problem, low, high, states = collocation(case)
        options = {"ipopt.print_level": 0, "print_time": False, "ipopt.tol": 1e-9, "ipopt.sb": "yes", "expand": True}
        options.update({"ipopt.bound_relax_factor": 0.0, "ipopt.max_iter": 1000})
        solver = casadi.nlpsol("nlp", "ipopt", problem, options)
        low[nx:states], high[nx:states] = np.tile(self.x_lower, H), np.tile(self.x_upper, H)  # the start is given
        answer = solver(
            x0=np.concatenate([start.x_hat.ravel(), start.u_hat.ravel()]), lbx=low, ubx=high, lbg=0.0, ubg=0.0
        )
        assert solver.stats()["success"], solver.stats()["return_status"]
        w = answer["x"].full().ravel()
        return float(answer["f"]), w[:states].reshape(H + 1, nx), w[states:].reshape(H, nu)


def limited(name: str, seed: int) -> Limited:
    """A problem of NAMES with start, goal and limits from the seed."""
    rng = np.random.default_rng(seed)
    if name == "double integrator":
        return _double_integrator(rng)
    if name == "P7":
        return _arm(rng)
    case = pendulum() if name == "pendulum" else cart_pole()
    free = np.full(case.cost.nx, np.inf)
    if name == "pendulum":
        case.x0 = rng.uniform(-0.5, 0.5, 2)
        free[1] = rng.uniform(2.5, 4.0)  # [rad/s]
    else:
        case.x0 = np.concatenate([rng.uniform(-0.2, 0.2, 2), np.zeros(2)])
        free[0] = rng.uniform(0.3, 0.6)  # [m]
    return Limited(case, -free, free)


def _double_integrator(rng) -> Limited:
    x, u, dt = casadi.SX.sym("x", 2), casadi.SX.sym("u", 1), 0.1
    goal = rng.uniform(0.8, 2.0)
    terms = [
        ("goal", Term(casadi.vertcat(x[0] - goal, 0.1 * x[1]), StateCostSettings(weight=1.0, terminal=10.0))),
        ("effort", Term(0.1 * u, CostSettings())),
    ]
    F = np.array([[[1.0, dt, 0.5 * dt**2], [0.0, 1.0, dt]]])
    dynamics = LinearGaussianDynamics(F, np.zeros((1, 2)), np.zeros((1, 2, 2)))
    cost, two = CostModel(x, u, casadi.SX.sym("v", 1), terms), np.array([2.0])
    high = np.array([np.inf, rng.uniform(0.2, 0.6)])
    return Limited(Case(cost, dynamics, np.zeros(2), np.zeros(1), -two, two, 40), -high, high)


def _arm(rng) -> Limited:
    problem = make("P7", 30)
    high = np.full(7, problem.bound)
    x0 = problem.x0.copy()
    x0[:7] += rng.uniform(-0.2, 0.2, 7)
    case = Case(problem.cost, problem.dynamics, x0, np.zeros(7), -high, high, problem.horizon)
    planner = case.planner("casadi", iterations=50, tolerance=1e-9)
    peak = np.abs(case.plan(planner).x_hat[:, 7:]).max(axis=0)
    limit = np.concatenate([np.full(7, np.inf), rng.uniform(0.3, 0.7) * np.maximum(peak, 0.1)])
    return Limited(case, -limit, limit)
