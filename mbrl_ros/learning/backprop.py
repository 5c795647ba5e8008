"""The method `backprop`: a policy by backpropagation through the learned model (Deisenroth and Rasmussen, ICML 2011).

The gradient is that of gradients/pathwise.py: with `segment: 0` through all stages of a rollout, else cut into
segments, whose end is worth 0 (truncated) or, with `bootstrap`, a value that is fitted to the same rollouts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..config.section import setting
from ..exceptions import ConfigurationError
from ..tasks.base import Task
from .base import Episode
from .gradients.pathwise import Pathwise
from .policy_search import PolicySettings, learn_policy


@dataclasses.dataclass(frozen=True)
class Settings(PolicySettings):
    """Those of every method with a policy, and where the gradient is cut."""

    segment: int = setting(
        0,
        "stages that are differentiated through at once, a divisor of the horizon; 0: all",
        unit="steps",
        low=0,
        high=1000,
    )
    bootstrap: bool = setting(True, "give the end of a segment a value fitted to the rollouts; false: none")

    def validate(self) -> None:
        """Refuse segments that do not fill a horizon."""
        if self.horizon:
            self.check_segments(self.horizon)

    def check_segments(self, horizon: int) -> None:
        """Raise ConfigurationError if the segments do not fill this horizon [steps]."""
        if self.segment and horizon % self.segment:
            raise ConfigurationError(f"must divide the horizon, {horizon}", key="segment", value=self.segment)


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; settings: None: the defaults."""
    chosen = settings or Settings()
    chosen.check_segments(chosen.horizon or task.info.horizon)  # before an episode is spent
    return learn_policy(
        task,
        seed,
        episodes,
        chosen,
        lambda problem, H: Pathwise(problem, H, chosen.rollouts, chosen.segment, chosen.bootstrap),
    )
