"""Distance of the end-effector point to a reference: r = p(q) - p*, s = |r|^2 [m^2], in the robot's base frame.

The Gauss-Newton Hessian is J^T (..) J with J = dp/dq (3, n); it leaves the null space of J to the other costs.
Parameters: reference p* (3,) [m]; where joints that move the end effector are not controlled, their positions r (k,),
on which p then depends too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from ..robots import kinematics
from .base import CostContext, TargetSettings, Term


@dataclass(frozen=True)
class Settings(TargetSettings):
    """End-effector point target."""

    weight: float = setting(
        4000.0, "weight of the cost; 0 when the node is configured leaves it out", unit="1/m^2", low=0.0, dynamic=True
    )


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    robot = context.require_robot("point_target")
    reference = casadi.SX.sym("reference", 3)
    parameters = {"reference": (reference, np.zeros(3))}
    if not robot.uncontrolled:
        return {"": Term(kinematics.tip_position(robot)(context.q) - reference, settings, parameters)}
    others = casadi.SX.sym("uncontrolled", len(robot.uncontrolled))
    parameters["uncontrolled"] = (others, np.zeros(len(robot.uncontrolled)))
    return {"": Term(kinematics.placed_tip_position(robot)(context.q, others) - reference, settings, parameters)}
