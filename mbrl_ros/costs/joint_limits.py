r"""A smooth wall before joint stops and speed limits.

    r = h(q - q_high), h(q_low - q), h(qd - qd_high), h(-qd_high - qd)

h is a smooth hinge (d + sqrt(d^2 + w^2)) / 2, so the cost is almost zero until the limit less `margin` and quadratic
beyond it. Speeds are compared after division by their limit. Hard limits in the plan are the planner's
(`state_limits`); this cost keeps the way there gentle. Joints without a stop have none here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from .base import CostContext, StateCostSettings, Term, smooth_hinge


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Joint limits."""

    weight: float = setting(
        1000.0, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )
    terminal: float = setting(1.0, "factor of the weight at the last stage", low=0.0)
    margin: float = setting(0.05, "distance from a stop at which the wall begins", unit="rad or m", low=0.0)
    velocity_margin: float = setting(0.15, "the same for speed, as a fraction of the limit", low=0.0, high=0.9)
    width: float = setting(0.01, "rounding of the wall's foot", unit="rad, m or fraction of the speed limit", low=1e-6)


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    robot = context.require_robot("joint_limits")
    beyond = []
    for i in range(context.n):
        if np.isfinite(robot.position_upper[i]):
            beyond.append(context.q[i] - (robot.position_upper[i] - settings.margin))
        if np.isfinite(robot.position_lower[i]):
            beyond.append((robot.position_lower[i] + settings.margin) - context.q[i])
        speed, allowed = context.qd[i] / robot.velocity_limit[i], 1.0 - settings.velocity_margin
        beyond += [speed - allowed, -speed - allowed]
    return {"": Term(smooth_hinge(casadi.vertcat(*beyond), settings.width), settings)}
