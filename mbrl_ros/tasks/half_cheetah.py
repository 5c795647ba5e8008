r"""The task `half_cheetah`: Gymnasium's HalfCheetah-v5, a planar body on two legs of three joints that is to run.

x = [position along the track m, height m, pitch rad, six angles of the legs rad; their rates]: the first three are
passive joints. Commands in [-1, 1] (geared to 30 to 120 N m), a period of 0.05 s, 1000 steps. A step earns

    (p' - p) / dt - 0.1 |u|^2,    p the position along the track.

A planner minimizes a smooth cost: half the square of the speed below RUNNING_SPEED, scaled so that its slope at rest
is that of the reward.
"""

from __future__ import annotations

import numpy as np

from ..codegen.symbolic import casadi
from ..costs import CostModel, CostSettings, StateCostSettings, Term
from ..types import CommandVector, StateVector
from .base import Step, TaskInfo
from .gymnasium_task import GymnasiumBody

ROOT_JOINTS = ("root_x", "root_z", "root_pitch")
LEG_JOINTS = ("back_thigh", "back_shin", "back_foot", "front_thigh", "front_shin", "front_foot")
RUNNING_SPEED = 10.0  # [m/s]
CHEETAH_STEPS, CHEETAH_SOLVED = 1000, 4800.0  # the latter as Gymnasium has it


class HalfCheetah:
    """See the top of this module; a `Task`."""

    def __init__(self) -> None:
        self._body = GymnasiumBody("HalfCheetah-v5")
        low, high = (np.append(np.zeros(len(ROOT_JOINTS)), limit) for limit in self._body.limits)
        joints = (*ROOT_JOINTS, *LEG_JOINTS)
        self.info = TaskInfo(joints, low, high, self._body.dt, CHEETAH_STEPS, CHEETAH_SOLVED, 20, running_cost())

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        return self._body.reset(seed)

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        return Step(*self._body.step(np.clip(u, self.info.u_lower, self.info.u_upper)[len(ROOT_JOINTS) :]))

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        legs = u[len(ROOT_JOINTS) :]
        return float((x_next[0] - x[0]) / self.info.dt - 0.1 * legs @ legs)

    def failed(self, x: StateVector) -> bool:
        """See `Task`: no state ends an episode."""
        return False


def running_cost() -> CostModel:
    """Return the cost of not running, and of commands."""
    n = len(ROOT_JOINTS) + len(LEG_JOINTS)
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    slow = x[n] - RUNNING_SPEED
    return CostModel(
        x,
        u,
        v,
        [
            ("slow", Term(slow, StateCostSettings(weight=1.0 / RUNNING_SPEED, terminal=1.0))),
            ("command", Term(u, CostSettings(weight=0.2))),
        ],
    )


def build() -> HalfCheetah:
    """Build the task; ModuleNotFoundError without Gymnasium or MuJoCo."""
    return HalfCheetah()
