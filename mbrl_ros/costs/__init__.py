r"""Costs: the planner's objective, a sum of residual costs, one file each.

    J = sum_{t=0}^{H-1} l(x_t, u_{t-1}, u_t, p_t) + l_H(x_H, p_H)

Weights, references and everything else that may change while the controller runs are columns of the stage parameters
p_t, so nothing is ever rebuilt or recompiled. A ramp, the terminal factor and the discount gamma^t are part of the
weights in p.
"""

from .base import Cost, CostContext, CostSettings, StateCostSettings, TargetSettings, Term
from .cost_model import CostModel, build_cost

__all__ = [
    "Cost",
    "CostContext",
    "CostModel",
    "CostSettings",
    "StateCostSettings",
    "TargetSettings",
    "Term",
    "build_cost",
]
