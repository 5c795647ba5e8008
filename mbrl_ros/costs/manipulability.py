r"""A smooth wall before postures in which the end-effector point hardly moves in some direction.

    r = h(1 - w(q) / w_0),     w = sqrt(det(J J^T)),     J = dp/dq (3, n),     h(e) = (e + sqrt(e^2 + 0.01)) / 2

w is Yoshikawa's manipulability ("Manipulability of robotic mechanisms", 1985), the product of J's singular values; of
an arm of less than three joints det(J^T J) takes the place of det(J J^T). The cost is small where w > w_0, and half the
weight in a singular posture, where 1e-6 w_0^2 below the root keeps its gradient finite.
Parameter, where joints that move the end effector are not controlled: their positions `uncontrolled` (k,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from ..robots import kinematics
from .base import CostContext, StateCostSettings, Term, smooth_hinge

HINGE_WIDTH = 0.1  # rounding of the wall's foot, of w_0
ROOT_FLOOR = 1e-6  # of w_0^2, below the root


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Manipulability of the end-effector point."""

    weight: float = setting(
        0.0, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )
    terminal: float = setting(1.0, "factor of the weight at the last stage", low=0.0)
    least: float = setting(
        0.03,
        "manipulability of the end-effector point, the product of its Jacobian's singular values, below which the wall "
        "begins",
        unit="m^3/rad^3",
        low=1e-9,
    )


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    robot = context.require_robot("manipulability")
    others = casadi.SX.sym("uncontrolled", len(robot.uncontrolled))
    if robot.uncontrolled:
        p = kinematics.placed_tip_position(robot)(context.q, others)
    else:
        p = kinematics.tip_position(robot)(context.q)
    J = casadi.densify(casadi.jacobian(p, context.q))
    gram = J @ J.T if context.n >= 3 else J.T @ J
    w = casadi.sqrt(casadi.det(gram) / settings.least**2 + ROOT_FLOOR)
    parameters = {"uncontrolled": (others, np.zeros(len(robot.uncontrolled)))} if robot.uncontrolled else {}
    return {"": Term(smooth_hinge(1.0 - w, HINGE_WIDTH), settings, parameters)}
