"""The planner `collocation`: direct transcription, with states and commands as variables of a sparse programme.

Multiple shooting for the discrete models of the controller (transcription.py, planner.py), Hermite-Simpson for
continuous models and without a controller (hermite_simpson.py).
"""

from __future__ import annotations

from ...exceptions import ConfigurationError
from ..base import Planner, PlannerContext
from .planner import CollocationPlanner
from .settings import Settings

__all__ = ["CollocationPlanner", "Settings", "build"]


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; ConfigurationError for a cost without second derivatives or without a nonlinear prior."""
    if not settings.nonlinear:
        return CollocationPlanner(settings, context)
    if context.model is None:
        raise ConfigurationError(
            "planning through a nonlinear prior needs one", key="planner.collocation.nonlinear", value=True
        )
    return CollocationPlanner(settings, context, context.model())
