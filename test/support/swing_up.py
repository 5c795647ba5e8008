"""Swing-up of a pendulum and of a cart-pole with bounded commands: nonlinear models with a quadratic cost.

The residuals are linear, so that the second derivatives of the model are all that Gauss-Newton leaves out.
"""

from __future__ import annotations

import casadi
import numpy as np

from mbrl_ros.costs import CostModel
from mbrl_ros.costs.base import CostSettings, StateCostSettings, Term
from mbrl_ros.types import LinearGaussianDynamics
from support.planner_problems import Case

GRAVITY, DT = 9.81, 0.05  # [m/s^2], [s]


def pendulum() -> Case:
    """Mass 1 kg on a rod of 1 m; x = [angle from hanging, its rate], |u| <= 3 N m, a third of what lifts it."""
    x, u = casadi.SX.sym("x", 2), casadi.SX.sym("u", 1)
    goal = casadi.vertcat(x[0] - np.pi, 0.3 * x[1])
    terms = [
        ("goal", Term(goal, StateCostSettings(weight=1.0, terminal=100.0))),
        ("effort", Term(0.01 * u, CostSettings())),
    ]
    return _case(x, u, lambda x: casadi.vertcat(x[1], u - GRAVITY * casadi.sin(x[0]) - 0.1 * x[1]), terms, 3.0, 100)


def cart_pole() -> Case:
    """Cart of 1 kg, pole of 0.3 kg and 0.5 m; x = [position, angle from hanging, their rates], |u| <= 10 N."""
    x, u = casadi.SX.sym("x", 4), casadi.SX.sym("u", 1)
    pole, cart, length = 0.3, 1.0, 0.5

    def rate(x):
        s, c = casadi.sin(x[1]), casadi.cos(x[1])
        a = (u + pole * s * (length * x[3] ** 2 + GRAVITY * c)) / (cart + pole * s**2)
        return casadi.vertcat(x[2], x[3], a, -(a * c + GRAVITY * s) / length)

    goal = casadi.vertcat(0.5 * x[0], x[1] - np.pi, 0.2 * x[2], 0.2 * x[3])
    terms = [
        ("goal", Term(goal, StateCostSettings(weight=1.0, terminal=10.0))),
        ("effort", Term(0.02 * u, CostSettings())),
    ]
    return _case(x, u, rate, terms, 10.0, 80)


def _case(x, u, rate, terms, bound, horizon) -> Case:
    nx = x.numel()
    phi = casadi.Function("phi", [x, u], [x + DT * rate(x + 0.5 * DT * rate(x))])  # the midpoint rule
    nothing = LinearGaussianDynamics(np.zeros((1, nx, nx + 1)), np.zeros((1, nx)), np.zeros((1, nx, nx)))
    limit, cost = np.array([bound]), CostModel(x, u, casadi.SX.sym("v", 1), terms)
    return Case(cost, nothing, np.zeros(nx), np.array([0.1]), -limit, limit, horizon, phi)


def starts(case, number=20, seed=16):
    """Random states near hanging at rest and constant commands to begin with, all from the seed."""
    rng = np.random.default_rng(seed)
    return [(rng.uniform(-0.5, 0.5, case.cost.nx), rng.uniform(-0.5, 0.5, 1)) for _ in range(number)]


def solve(case, planner, x0, command):
    """Plan from x0, with the constant command (1,) as the first plan."""
    case.x0, case.u_previous = x0, command
    planner.reset(x0, command)
    return case.plan(planner, ticks=0)
