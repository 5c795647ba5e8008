"""Distance of the joints to a reference: r = q - q*, s = sum_i a_i (q_i - q*_i)^2 [rad^2 or m^2].

Parameters: reference q* (n,), scale a (n,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import per_joint, setting
from .base import CostContext, TargetSettings, Term


@dataclass(frozen=True)
class Settings(TargetSettings):
    """Joint target; with a small weight, a preferred posture."""

    weight: float = setting(
        1000.0,
        "weight of the cost; 0 when the node is configured leaves it out",
        unit="1/rad^2 or 1/m^2",
        low=0.0,
        dynamic=True,
    )
    scale: tuple[float, ...] = setting((1.0,), "relative weight of each joint", low=0.0, per_joint=True)


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    reference, scale = casadi.SX.sym("reference", context.n), casadi.SX.sym("scale", context.n)
    parameters = {
        "reference": (reference, np.zeros(context.n)),
        "scale": (scale, per_joint(settings.scale, context.n, "cost.joint_target.scale")),
    }
    return {"": Term(context.q - reference, settings, parameters, scale)}
