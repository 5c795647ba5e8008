"""The method `policy_gradient`: a policy by likelihood ratios in a learned model (gradients/likelihood_ratio.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..config.section import setting
from ..exceptions import ConfigurationError
from ..tasks.base import Task
from .base import Episode
from .gradients.likelihood_ratio import LikelihoodRatio
from .policy_search import PolicySettings, learn_policy


@dataclasses.dataclass(frozen=True)
class Settings(PolicySettings):
    """Those of every method with a policy, and the groups of its rollouts."""

    replicates: int = setting(
        5,
        "rollouts that share start and noise and are each other's baseline, a divisor of `rollouts`; 1: no baseline",
        low=1,
        high=10_000,
    )

    def validate(self) -> None:
        """Refuse groups that do not fill the rollouts."""
        if self.rollouts % self.replicates:
            raise ConfigurationError(f"must divide rollouts, {self.rollouts}", key="replicates", value=self.replicates)


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; settings: None: the defaults."""
    chosen = settings or Settings()
    return learn_policy(
        task, seed, episodes, chosen, lambda problem, H: LikelihoodRatio(problem, H, chosen.rollouts), chosen.replicates
    )
