r"""The task `pusher`: Gymnasium's Pusher-v5, an arm of seven joints that pushes a cylinder to a place on a table.

x = [seven angles rad, position of the cylinder and of its goal m; their rates]: both are two passive joints each, the
goal's stand still. Commands in [-2, 2] N m, a period of 0.05 s, 100 steps. A step earns

    -|object - goal| - 0.5 |tip - object| - 0.1 |u|^2,

whose points the environment takes from 10 ms before the step's end. Where the tip is by the angles is known, as it is
of an arm: a shoulder that pans and lifts, a roll, 0.4 m to the elbow, and 0.321 m from there to the wrist.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..codegen.symbolic import casadi
from ..costs import CostModel, CostSettings, StateCostSettings, TargetSettings, Term
from ..types import Array, CommandVector, StateVector
from .base import Step, TaskInfo
from .gymnasium_task import GymnasiumBody

ARM_JOINTS = (
    "shoulder_pan",
    "shoulder_lift",
    "upper_arm_roll",
    "elbow_flex",
    "forearm_roll",
    "wrist_flex",
    "wrist_roll",
)
PLACES = ("object_y", "object_x", "goal_y", "goal_x")
TABLE_MIDDLE, OBJECT_HEIGHT, GOAL_HEIGHT = (0.45, -0.05), -0.275, -0.323  # [m], of the passive joints' zero
PUSHER_STEPS, PUSHER_SOLVED = 100, -35.0


def tip_of(q: Any, lib: Any) -> list[Any]:
    """Return [x, y, z] [m] of the arm's tip at angles q (>= 4,) [rad], with sin and cos of `lib` (numpy or casadi)."""
    (c0, c1, c2, c3), (s0, s1, s2, s3) = [[function(q[i]) for i in range(4)] for function in (lib.cos, lib.sin)]
    along, down = 0.321 * c3, -0.321 * s3  # of the forearm in the frame of the upper arm: a turn about y
    x, y, z = 0.4 + along, -s2 * down, c2 * down  # the roll, about x
    x, z = 0.1 + c1 * x + s1 * z, -s1 * x + c1 * z  # the lift, about y
    return [c0 * x - s0 * y, -0.6 + s0 * x + c0 * y, z]


def places_of(q: Any) -> tuple[list[Any], list[Any]]:
    """Return [x, y, z] [m] of the object and of its goal at q (11,)."""
    x, y = TABLE_MIDDLE
    return [x + q[8], y + q[7], OBJECT_HEIGHT], [x + q[10], y + q[9], GOAL_HEIGHT]


class Pusher:
    """See the top of this module; a `Task`."""

    def __init__(self) -> None:
        self._body = GymnasiumBody("Pusher-v5")
        low, high = (np.append(limit, np.zeros(len(PLACES))) for limit in self._body.limits)
        joints = (*ARM_JOINTS, *PLACES)
        self.info = TaskInfo(joints, low, high, self._body.dt, PUSHER_STEPS, PUSHER_SOLVED, 20, pusher_cost())

    def reset(self, seed: int) -> StateVector:
        """See `Task`."""
        return self._body.reset(seed)

    def step(self, u: CommandVector) -> Step:
        """See `Task`."""
        return Step(*self._body.step(np.clip(u, self.info.u_lower, self.info.u_upper)[: len(ARM_JOINTS)]))

    def reward(self, x: StateVector, u: CommandVector, x_next: StateVector) -> float:
        """See `Task`."""
        tip, (object_, goal) = np.array(tip_of(x_next, np)), map(np.array, places_of(x_next))
        near, far = (float(np.linalg.norm(object_ - point)) for point in (tip, goal))
        command: Array = u[: len(ARM_JOINTS)]
        return -far - 0.5 * near - 0.1 * float(command @ command)

    def failed(self, x: StateVector) -> bool:
        """See `Task`: no state ends an episode."""
        return False


def pusher_cost() -> CostModel:
    """Return what the reward counts, with a little speed of the arm."""
    n, arm = len(ARM_JOINTS) + len(PLACES), len(ARM_JOINTS)
    x, u, v = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("v", n)
    tip = casadi.vertcat(*tip_of(x, casadi))
    object_, goal = (casadi.vertcat(*point) for point in places_of(x))
    return CostModel(
        x,
        u,
        v,
        [
            ("far", Term(object_ - goal, TargetSettings(weight=1.0, l2=0.0, l1=1.0, alpha=1e-4, terminal=1.0))),
            ("near", Term(tip - object_, TargetSettings(weight=0.5, l2=0.0, l1=1.0, alpha=1e-4, terminal=1.0))),
            ("speed", Term(x[n : n + arm], StateCostSettings(weight=1e-3, terminal=1.0))),
            ("command", Term(u, CostSettings(weight=0.2))),
        ],
    )


def build() -> Pusher:
    """Build the task; ModuleNotFoundError without Gymnasium or MuJoCo."""
    return Pusher()
