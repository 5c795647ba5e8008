"""The planner `ilqr`: iterative linear-quadratic regulator with limits, compiled and as readable specifications.

Settings are those that all planners have in common (config/sections/planner.py); most of them were made for this one.
"""

from __future__ import annotations

import dataclasses

from ...config.section import Section
from ...dynamics.priors.nonlinear_model import NonlinearModel
from ..base import Planner, PlannerContext
from .ilqr import IlqrPlanner


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings beside those of all planners."""


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; see `IlqrPlanner` for what it raises."""
    return planner_of(context)


def planner_of(context: PlannerContext, model: NonlinearModel | None = None) -> IlqrPlanner:
    """Make the planner that `context` asks for, through `model` if there is one."""
    return IlqrPlanner(
        context.cost,
        context.settings,
        context.nx,
        context.nu,
        context.u_lower,
        context.u_upper,
        model,
        context.x_lower,
        context.x_upper,
    )
