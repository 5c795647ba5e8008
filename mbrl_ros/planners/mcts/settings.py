"""Settings of the planner `mcts`."""

from __future__ import annotations

import dataclasses

from ...config.section import Section, setting
from ...exceptions import ConfigurationError
from .kernel import MOST_PRIMITIVES
from .search import BY_POLICY, DEFAULT_LAWS

MOST_ROOTS = 256


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """Settings of the planner `mcts`; it uses planner.horizon, backend, time_budget, temperature and execution too."""

    simulations: int = setting(1000, "simulations per tick, each of which adds a node to the tree", low=1, high=20000)
    primitives: int = setting(
        9,
        "number of motion primitives: those of planner.mcts.fixed, the others steps of one joint up or down",
        low=2,
        high=MOST_PRIMITIVES,
    )
    fixed: tuple[str, ...] = setting(
        ("lqr", "plan", "hold"),
        "primitives without a step, in the order in which they are tried: lqr: the feedback policy about the plan in"
        " hand; plan: that plan; hold: the command stays",
        choices=tuple(DEFAULT_LAWS),
    )
    steps: str = setting(
        "drawn",
        "the primitives with a step: drawn: joints and sizes are drawn anew for every segment and period; fixed: the"
        " joints one after the other, up and down, so that a discrete policy can tell them apart",
        choices=("drawn", "fixed"),
    )
    policy: str = setting(
        "", "file of a discrete policy of the primitives (distillation/choice.py): the tree's prior; empty: none"
    )
    policy_task: int = setting(0, "number of the task, for a policy of several (mbrl policy merge)", low=0, high=999)
    policy_share: float = setting(
        0.25,
        "share of the policy in what weights the exploration of a primitive; the rest is the same for all",
        low=0.0,
        high=1.0,
    )
    length: int = setting(5, "stages of the horizon for which a primitive lasts", unit="ticks", low=1, high=500)
    exploration: float = setting(
        0.3, "C of the score Q/N + 2 C sqrt(2 ln N_parent / N), whose values Q/N lie in [0, 1]", low=0.0, high=10.0
    )
    widening: float = setting(2.0, "c of c N^alpha, the children that a node with N visits may have", low=1.0, high=1e3)
    growth: float = setting(0.5, "alpha of c N^alpha", low=0.0, high=1.0)
    default: str = setting(
        "lqr",
        "how a plan goes on after the tree's last primitive: one of those of planner.mcts.fixed, or policy: the"
        " primitive that planner.mcts.policy prefers, segment by segment",
        choices=(*DEFAULT_LAWS, BY_POLICY),
    )
    reach: float = setting(
        0.1, "what the largest step of a command costs in a stage, in units of the plan's cost", low=1e-6, high=100.0
    )
    answer: str = setting(
        "visited",
        "visited: the plan at the end of the most visited path; best: the cheapest one found",
        choices=("visited", "best"),
    )
    nonlinear: bool = setting(
        False, "plan through the nonlinear prior itself, as the planner ddp does, and not through its linearization"
    )
    seed: int = setting(0, "seed of the joints and sizes of the steps", low=0)
    roots: int = setting(
        1,
        "trees that are searched from the same root, each with steps drawn for it and all its simulations, and of whose"
        " answers one is taken; they are jobs",
        low=1,
        high=MOST_ROOTS,
    )

    def validate(self) -> None:
        """Check what concerns more than one setting."""
        if self.default == BY_POLICY and not self.policy:
            raise ConfigurationError("'policy' needs a file: planner.mcts.policy", key="default", value=self.default)
        if self.policy and self.steps != "fixed":
            raise ConfigurationError(
                "must be 'fixed' where planner.mcts.policy names a policy: a drawn step means something else in every"
                " period",
                key="steps",
                value=self.steps,
            )
        if self.roots > 1 and self.steps == "fixed":
            raise ConfigurationError(
                "must be 1 where planner.mcts.steps is 'fixed': all trees would be the same",
                key="roots",
                value=self.roots,
            )
        if len(self.fixed) > self.primitives:
            raise ConfigurationError(
                f"must not name more than all primitives ({self.primitives}), got {len(self.fixed)}",
                key="fixed",
                value=self.fixed,
            )
