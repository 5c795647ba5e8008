r"""Distance from the joint stops, over the whole range of every joint.

    r_i = e_i^2,     e_i = (2 q_i - q_high,i - q_low,i) / (q_high,i - q_low,i)

e is 0 in the middle of the range and 1 at a stop, so the cost w/2 e^4 is flat in the middle and steep at the stops; the
wall right before them is that of `joint_limits`. Joints without a stop on both sides have none here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from .base import CostContext, StateCostSettings, Term


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Distance from joint stops."""

    weight: float = setting(
        0.0, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )
    terminal: float = setting(1.0, "factor of the weight at the last stage", low=0.0)


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term, none where no joint has stops; see the top of this module."""
    robot = context.require_robot("joint_stops")
    lower, upper = robot.position_lower, robot.position_upper
    parts = [
        (2.0 * context.q[i] - (upper[i] + lower[i])) / (upper[i] - lower[i])
        for i in range(context.n)
        if np.isfinite(upper[i] - lower[i]) and upper[i] > lower[i]
    ]
    return {"": Term(casadi.vertcat(*(e * e for e in parts)), settings)} if parts else {}
