"""Effort of the drives: r_j = (v_j - u*_j) / h_j with h the robot's command scale.

v = u for an effort; for a servo it is its input error, u - qd (velocity) or u - q (position).

A strictly positive weight here or in command_change keeps Q_uu positive definite.
Parameter: reference u* (nu,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from .base import CostContext, CostSettings, Term


@dataclass(frozen=True)
class Settings(CostSettings):
    """Effort."""

    weight: float = setting(
        1e-3, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    reference = casadi.SX.sym("reference", context.nu)
    servo = None if context.robot is None else context.robot.servo
    v = context.u if servo is None else context.u - context.x[servo]
    return {
        "": Term((v - reference) / context.command_scale, settings, {"reference": (reference, np.zeros(context.nu))})
    }
