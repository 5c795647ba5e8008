"""Command relative to its range: r_j = (u_j - u*_j) / h_j, h = (u_upper - u_lower) / 2.

A strictly positive weight here or in command_change keeps Q_uu positive definite.
Parameter: reference u* (nu,).
"""

from __future__ import annotations

from dataclasses import dataclass

import casadi
import numpy as np

from ..settings import setting
from ._terms import CostSettings, Term


@dataclass(frozen=True)
class Settings(CostSettings):
    """Effort."""

    weight: float = setting(1e-3, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True)


def build(settings: Settings, context) -> dict[str, Term]:
    reference = casadi.SX.sym("reference", context.nu)
    return {"": Term((context.u - reference) / context.half_range, settings,
                     {"reference": (reference, np.zeros(context.nu))})}
