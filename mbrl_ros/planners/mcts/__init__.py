r"""The planner `mcts`: Monte Carlo tree search over motion primitives.

The horizon is cut into segments, and a primitive is what the command does over one: it follows the feedback policy or
the plan in hand, stays, or is a step above or below (primitives.py). A sequence of primitives is a node of the tree,
whose cost J is that of the whole horizon, completed by a default policy. Simulations search the tree by the score UCT,
with progressive widening (numpy_search.py):

    argmax_i  Q_i / N_i + 2 C sqrt(2 ln N_parent / N_i),     at most ceil(c N^alpha) children

The answer is the most visited path, completed by the default policy, and never worse than the last plan, replayed from
the state. Feedback gains are those of the linear-quadratic regulator about it (planners/feedback.py). Limits on states
and a KL bound are not heeded.

Kocsis & Szepesvari, Bandit based Monte-Carlo planning, ECML 2006; Couetoux, Hoock, Sokolovska, Teytaud & Bonnard,
Continuous upper confidence trees, LION 2011.
"""

from __future__ import annotations

from ..base import Planner, PlannerContext
from .planner import MctsPlanner
from .search import RootStatistics
from .settings import Settings

__all__ = ["MctsPlanner", "RootStatistics", "Settings", "build"]


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner; ConfigurationError without a nonlinear prior to plan through, else see `MctsPlanner`."""
    model = context.nonlinear("planner.mcts.nonlinear") if settings.nonlinear else None
    return MctsPlanner(settings, context, model)
