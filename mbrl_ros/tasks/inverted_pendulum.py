"""The task `inverted_pendulum`: Gymnasium's InvertedPendulum-v5, a pole on a cart that must not fall.

x = [position of the cart m; angle rad; their rates], one command for the cart in [-3, 3] (geared to 300 N), a period of
0.04 s. Every step earns 1 until the angle passes 0.2 rad, which ends the episode, for 1000 steps at most.
"""

from __future__ import annotations

import numpy as np

from ..codegen.symbolic import casadi
from ..costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from ..types import CommandVector, StateVector
from .base import Step, TaskInfo
from .gymnasium_task import GymnasiumBody

LARGEST_TILT, BALANCED_STEPS = 0.2, 1000  # [rad], where an episode ends; steps of an episode


class InvertedPendulum:
    """See the top of this module; a `Task`."""

    def __init__(self) -> None:
        self._body = GymnasiumBody("InvertedPendulum-v5")
        low, high = (np.array([limit[0], 0.0]) for limit in self._body.limits)
        self.info = TaskInfo(
            ("slider", "hinge"), low, high, self._body.dt, BALANCED_STEPS, BALANCED_STEPS, 25, balance_cost(high[0])
        )

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        return self._body.reset(seed)

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        return Step(*self._body.step(np.clip(u, self.info.u_lower, self.info.u_upper)[:1]))

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        return float(not self.failed(x_next))

    def failed(self, x: StateVector) -> bool:
        """See `Task`."""
        return not bool(np.isfinite(x).all() and abs(x[1]) <= LARGEST_TILT)


def balance_cost(scale: float) -> CostModel:
    """Return the cost of being away from upright in the middle at rest; scale: the largest command."""
    x, u, v = casadi.SX.sym("x", 4), casadi.SX.sym("u", 2), casadi.SX.sym("v", 2)
    return CostModel(
        x,
        u,
        v,
        [
            ("upright", Term(x[1], TargetSettings(weight=100.0, terminal=5.0))),
            ("middle", Term(x[0], TargetSettings(weight=1.0, terminal=5.0))),
            ("speed", Term(x[2:], StateCostSettings(weight=0.1, terminal=5.0))),
            ("force", Term(u / scale, CostSettings(weight=0.1))),
        ],
    )


def build() -> InvertedPendulum:
    """Build the task; ModuleNotFoundError without Gymnasium or MuJoCo."""
    return InvertedPendulum()
