"""The task `reacher`: Gymnasium's Reacher-v5, a planar arm of two joints whose tip goes to a target.

x = [angles of shoulder and elbow rad, position of the target m; their rates]: the target is two passive joints that
stand still. Commands in [-1, 1] (geared to 200 N m), a period of 0.02 s, 50 steps. A step earns -d - |u|^2 with the
distance d [m] of the tip from the target, which the environment takes from half a period before the step's end. Links
of 0.1 m and 0.11 m; where the tip is by the angles is known, as it is of an arm.
"""

from __future__ import annotations

import numpy as np

from ..codegen.symbolic import casadi
from ..costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from ..types import CommandVector, StateVector
from .base import Step, TaskInfo
from .gymnasium_task import GymnasiumBody

LINKS, REACHER_STEPS, REACHER_SOLVED = (0.1, 0.11), 50, -7.0  # [m]


class Reacher:
    """See the top of this module; a `Task`."""

    def __init__(self) -> None:
        self._body = GymnasiumBody("Reacher-v5")
        low, high = (np.append(limit, [0.0, 0.0]) for limit in self._body.limits)
        joints = ("joint0", "joint1", "target_x", "target_y")
        self.info = TaskInfo(joints, low, high, self._body.dt, REACHER_STEPS, REACHER_SOLVED, 20, reacher_cost())

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        return self._body.reset(seed)

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        return Step(*self._body.step(np.clip(u, self.info.u_lower, self.info.u_upper)[:2]))

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        shoulder, both = x_next[0], x_next[0] + x_next[1]
        tip = LINKS[0] * np.array([np.cos(shoulder), np.sin(shoulder)])
        tip += LINKS[1] * np.array([np.cos(both), np.sin(both)])
        return float(-np.linalg.norm(tip - x_next[2:4]) - u[:2] @ u[:2])

    def failed(self, x: StateVector) -> bool:
        """See `Task`: no state ends an episode."""
        return False


def reacher_cost() -> CostModel:
    """Return what the reward counts, with the distance weighing more at the end of the horizon and a little speed."""
    x, u, v = casadi.SX.sym("x", 8), casadi.SX.sym("u", 4), casadi.SX.sym("v", 4)
    both = x[0] + x[1]
    tip = LINKS[0] * casadi.vertcat(casadi.cos(x[0]), casadi.sin(x[0]))
    tip += LINKS[1] * casadi.vertcat(casadi.cos(both), casadi.sin(both))
    return CostModel(
        x,
        u,
        v,
        [
            ("tip", Term(tip - x[2:4], TargetSettings(weight=1.0, l2=0.0, l1=1.0, alpha=1e-4, terminal=5.0))),
            ("speed", Term(x[4:6], StateCostSettings(weight=1e-3, terminal=5.0))),
            ("command", Term(u, CostSettings(weight=2.0))),
        ],
    )


def build() -> Reacher:
    """Build the task; ModuleNotFoundError without Gymnasium or MuJoCo."""
    return Reacher()
