"""The planner `collocation`: direct transcription, with states and commands as variables of a sparse programme.

Multiple shooting for the discrete models of the controller (transcription.py, planner.py), Hermite-Simpson for
continuous models and without a controller (hermite_simpson.py).
"""

from __future__ import annotations

from ..base import Planner, PlannerContext
from .planner import CollocationPlanner
from .settings import Settings

__all__ = ["CollocationPlanner", "Settings", "build"]


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; ConfigurationError for a cost without second derivatives or without a nonlinear prior."""
    model = context.nonlinear("planner.collocation.nonlinear") if settings.nonlinear else None
    return CollocationPlanner(settings, context, model)
