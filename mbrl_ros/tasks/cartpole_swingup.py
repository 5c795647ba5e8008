r"""The task `cartpole_swingup`: a pole that hangs from a cart is swung up and balanced by a bounded force on the cart.

With the cart's position p [m], the pole's angle a [rad] from upright, and a point mass m at the end of a massless pole
of length l, the Lagrangian gives

    (M + m sin^2 a) pdd = F - b pd + m l ad^2 sin a - m g sin a cos a,      l add = g sin a - pdd cos a

with M = m = 0.5 kg, l = 0.6 m, b = 0.1 N s/m, |F| <= 10 N, g = 9.81 m/s^2. The pole weighs 4.9 N and F must swing it
about twice. An episode has 200 periods of 0.05 s, integrated by the classical Runge-Kutta method in steps of 5 ms, and
begins with the pole hanging at rest, every state off by up to 0.02. The reward of a step is exp(-d^2 / l^2) with the
distance d of the pole's end from the point l above the middle of the rail (the form of Chua et al., NeurIPS 2018).
"""

from __future__ import annotations

import numpy as np

from ..codegen.symbolic import casadi
from ..costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from ..types import Array, CommandVector, StateVector
from .base import Step, TaskInfo

CART_MASS, POLE_MASS, POLE_LENGTH = 0.5, 0.5, 0.6  # [kg], [kg], [m]
RAIL_FRICTION, LARGEST_FORCE, CART_GRAVITY = 0.1, 10.0, 9.81  # [N s/m], [N], [m/s^2]
CART_PERIOD, CART_SUBSTEPS, START_SPREAD = 0.05, 10, 0.02  # [s], per period, [m, rad, m/s, rad/s]
SWINGUP_SOLVED = 130.0  # an upright pole from the 70th of the 200 steps on


def acceleration(x: Array, force: float, friction: float = RAIL_FRICTION) -> Array:
    """Return [pdd, add] (2,) [m/s^2, rad/s^2] at x = [p, a, pd, ad] (4,) under `force` [N]."""
    _, a, speed, rate = x
    sin, cos = np.sin(a), np.cos(a)
    push = force - friction * speed + POLE_MASS * sin * (POLE_LENGTH * rate**2 - CART_GRAVITY * cos)
    cart = push / (CART_MASS + POLE_MASS * sin**2)
    return np.array([cart, (CART_GRAVITY * sin - cart * cos) / POLE_LENGTH])


def integrate(x: Array, force: float, friction: float = RAIL_FRICTION) -> StateVector:
    """Return the state (4,) one period after x (4,) under a constant `force` [N]."""
    h = CART_PERIOD / CART_SUBSTEPS

    def slope(at: Array) -> Array:
        return np.concatenate([at[2:], acceleration(at, force, friction)])

    for _ in range(CART_SUBSTEPS):
        k1 = slope(x)
        k2 = slope(x + 0.5 * h * k1)
        k3 = slope(x + 0.5 * h * k2)
        k4 = slope(x + h * k3)
        x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return x


def energy(x: Array) -> float:
    """Return the kinetic and potential energy [J] at x (4,), 0 with the pole level and all at rest."""
    _, a, speed, rate = x
    across, up = speed + POLE_LENGTH * rate * np.cos(a), POLE_LENGTH * rate * np.sin(a)
    kinetic = 0.5 * CART_MASS * speed**2 + 0.5 * POLE_MASS * (across**2 + up**2)
    return float(kinetic + POLE_MASS * CART_GRAVITY * POLE_LENGTH * np.cos(a))


class CartpoleSwingup:
    """See the top of this module; a `Task`."""

    def __init__(self) -> None:
        limit = np.array([LARGEST_FORCE, 0.0])
        self.info = TaskInfo(("slider", "hinge"), -limit, limit, CART_PERIOD, 200, SWINGUP_SOLVED, 30, swingup_cost())
        self._x = np.zeros(4)

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        spread = np.random.default_rng(seed).uniform(-START_SPREAD, START_SPREAD, 4)
        self._x = np.array([0.0, np.pi, 0.0, 0.0]) + spread
        return self._x

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        before, u = self._x, np.clip(u, self.info.u_lower, self.info.u_upper)
        self._x = integrate(before, float(u[0]))
        return Step(self._x, self.reward(before, u, self._x), False)

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        p, a = x_next[:2]
        across, up = p + POLE_LENGTH * np.sin(a), POLE_LENGTH * (np.cos(a) - 1.0)
        return float(np.exp(-(across**2 + up**2) / POLE_LENGTH**2))

    def failed(self, x: StateVector) -> bool:
        """See `Task`: no state ends an episode."""
        return False


def swingup_cost() -> CostModel:
    """Return the distance of the pole's end from its target, squared, with small weights on speeds and force."""
    x, u, v = casadi.SX.sym("x", 4), casadi.SX.sym("u", 2), casadi.SX.sym("v", 2)
    tip = casadi.vertcat(x[0] + POLE_LENGTH * casadi.sin(x[1]), POLE_LENGTH * (casadi.cos(x[1]) - 1.0))
    return CostModel(
        x,
        u,
        v,
        [
            ("tip", Term(tip, TargetSettings(weight=10.0, terminal=5.0))),
            ("speed", Term(x[2:], StateCostSettings(weight=0.02, terminal=5.0))),
            ("force", Term(u / LARGEST_FORCE, CostSettings(weight=0.05))),
        ],
    )


def build() -> CartpoleSwingup:
    """Build the task."""
    return CartpoleSwingup()
