"""Speed: r = qd - qd*, weighted per joint [rad^2/s^2 or m^2/s^2]. It damps, and keeps null-space motion small.

Parameter: reference qd* (n,), zero unless a reference trajectory is tracked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import per_joint, setting
from .base import CostContext, StateCostSettings, Term


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Joint speed."""

    weight: float = setting(
        2.0,
        "weight of the cost; 0 when the node is configured leaves it out",
        unit="s^2/rad^2 or s^2/m^2",
        low=0.0,
        dynamic=True,
    )
    scale: tuple[float, ...] = setting((1.0,), "relative weight of each joint", low=0.0, per_joint=True)


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    reference = casadi.SX.sym("reference", context.n)
    scale = casadi.SX(per_joint(settings.scale, context.n, "cost.joint_speed.scale"))
    return {"": Term(context.qd - reference, settings, {"reference": (reference, np.zeros(context.n))}, scale)}
