"""Distance of the joints to a preferred posture: r = q - q_p, s = sum_i a_i (q_i - q_p,i)^2 [rad^2 or m^2].

It pulls at every kind of target: a small weight beside those of the target decides where the target leaves a choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..codegen.symbolic import casadi
from ..config.section import per_joint, setting
from .base import CostContext, StateCostSettings, Term


@dataclass(frozen=True)
class Settings(StateCostSettings):
    """Preferred posture."""

    weight: float = setting(
        0.0,
        "weight of the cost; 0 when the node is configured leaves it out",
        unit="1/rad^2 or 1/m^2",
        low=0.0,
        dynamic=True,
    )
    terminal: float = setting(1.0, "factor of the weight at the last stage", low=0.0)
    posture: tuple[float, ...] = setting(
        (), "joint positions that are preferred; empty: the middle of every joint's range", unit="rad or m"
    )
    scale: tuple[float, ...] = setting((1.0,), "relative weight of each joint", low=0.0, per_joint=True)


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    if settings.posture:
        preferred = per_joint(settings.posture, context.n, "cost.preferred_posture.posture")
    else:
        preferred = context.require_robot("preferred_posture").middle
    scale = casadi.SX(per_joint(settings.scale, context.n, "cost.preferred_posture.scale"))
    return {"": Term(context.q - casadi.DM(preferred), settings, scale=scale)}
