"""What the drives have to give: r_j = (v_j - u*_j) / h_j with h the robot's command scale.

v = u for an effort; for a servo it is what the servo sees, u - qd (velocity) or u - q (position).

A strictly positive weight here or in command_change keeps Q_uu positive definite.
Parameter: reference u* (nu,).
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi
import numpy as np

from ..config.section import setting
from ._terms import CostSettings, Term


@dataclass(frozen=True)
class Settings(CostSettings):
    """Effort."""

    weight: float = setting(
        1e-3, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )


def build(settings: Settings, context) -> dict[str, Term]:
    reference = casadi.SX.sym("reference", context.nu)
    servo = getattr(context.robot, "servo", None)
    seen = context.u if servo is None else context.u - context.x[servo]
    return {
        "": Term((seen - reference) / context.command_scale, settings, {"reference": (reference, np.zeros(context.nu))})
    }
