"""Settings of the planner `mcts`."""

from __future__ import annotations

import dataclasses

from ...config.section import Section, setting
from .kernel import MOST_PRIMITIVES
from .search import DEFAULT_LAWS


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """Settings of the planner `mcts`; it uses planner.horizon, backend, time_budget, temperature and execution too."""

    simulations: int = setting(1000, "simulations per tick, each of which adds a node to the tree", low=1, high=20000)
    primitives: int = setting(
        9,
        "number of motion primitives: the feedback policy, the plan in hand, the present command, the others steps of"
        " one joint up or down",
        low=2,
        high=MOST_PRIMITIVES,
    )
    length: int = setting(5, "stages of the horizon for which a primitive lasts", unit="ticks", low=1, high=500)
    exploration: float = setting(
        0.2, "C of the score Q/N + 2 C sqrt(2 ln N_parent / N), whose values Q/N lie in [0, 1]", low=0.0, high=10.0
    )
    widening: float = setting(2.0, "c of c N^alpha, the children that a node with N visits may have", low=1.0, high=1e3)
    growth: float = setting(0.5, "alpha of c N^alpha", low=0.0, high=1.0)
    default: str = setting(
        "lqr",
        "how a plan goes on after the tree's last primitive: plan: as in the plan in hand; lqr: the feedback policy"
        " about that; hold: the command stays",
        choices=tuple(DEFAULT_LAWS),
    )
    reach: float = setting(
        0.1, "what the largest step of a command costs in a stage, in units of the plan's cost", low=1e-6, high=100.0
    )
    answer: str = setting(
        "visited",
        "visited: the plan at the end of the most visited path; best: the cheapest one found",
        choices=("visited", "best"),
    )
    seed: int = setting(0, "seed of the joints and sizes of the steps", low=0)
