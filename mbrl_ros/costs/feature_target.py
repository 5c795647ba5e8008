"""Distance of the camera features to a reference: r = s - s*, s = sum_i a_i (s_i - s*_i)^2 [image widths^2].

a_i is the confidence of the point coordinate i belongs to (0: not visible, so not acted upon).
Parameters: reference s* (m,), confidence a (m,). Without features there is no such cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..codegen.symbolic import casadi
from ..config.section import setting
from .base import CostContext, TargetSettings, Term


@dataclass(frozen=True)
class Settings(TargetSettings):
    """Image target."""

    weight: float = setting(
        1000.0,
        "weight of the cost; 0 when the node is configured leaves it out",
        unit="1/image width^2",
        low=0.0,
        dynamic=True,
    )


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term, none without features; see the top of this module."""
    if context.m == 0:
        return {}
    reference, confidence = casadi.SX.sym("reference", context.m), casadi.SX.sym("confidence", context.m)
    parameters = {"reference": (reference, np.zeros(context.m)), "confidence": (confidence, np.ones(context.m))}
    return {"": Term(context.s - reference, settings, parameters, confidence)}
