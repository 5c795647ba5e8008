"""Change of the command: r_j = (u_{t,j} - u_{t-1,j}) / h_j with h the robot's command scale.

u_{-1} is the command in effect now. It costs nothing at rest whatever effort rest needs, so there is no steady-state
error without any gravity model, and it makes commands smooth. No parameters but the weight.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting
from ._terms import CostSettings, Term


@dataclass(frozen=True)
class Settings(CostSettings):
    """Change of command."""

    weight: float = setting(15.0, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True)


def build(settings: Settings, context) -> dict[str, Term]:
    return {"": Term((context.u - context.u_previous) / context.command_scale, settings)}
