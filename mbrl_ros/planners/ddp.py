"""The planner `ddp`: iLQR whose rollouts and derivatives are those of the nonlinear prior itself.

    x' = phi(x, u) + F [x; u] + f

`ilqr` is given the prior linearized along the last plan, and keeps that in all iterations of a tick; here phi is the
prior's mean, rolled out as it is and expanded anew in every iteration. F, f is what was learned beside it
(dynamics/priors/nonlinear_model.py). planner.second_order: with its second derivatives too, which is differential
dynamic programming (Jacobson & Mayne 1970); else the steps are Gauss-Newton's, on the same nonlinear problem. Settings
are those that all planners have in common.
"""

from __future__ import annotations

import dataclasses

from ..config.section import Section
from .base import Planner, PlannerContext
from .ilqr import planner_of


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings beside those of all planners."""


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; ConfigurationError without a nonlinear prior, else see `ilqr.build`."""
    return planner_of(context, context.nonlinear("control.planner", "ddp"))
