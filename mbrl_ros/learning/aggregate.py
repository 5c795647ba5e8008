"""The method `aggregate`: fit, plan, run the plan open loop, add what was seen, fit again (DAgger for models).

A model fitted to random commands is wrong where a good plan goes; with the transitions of its own plans in the data it
is right there (Ross and Bagnell, ICML 2012). The first episode is random.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..tasks.base import Task
from .base import Episode
from .model_based import ModelBased


def learn(task: Task, seed: int, episodes: int) -> Iterator[Episode]:
    """See `Method`."""
    learner = ModelBased(task, seed)
    yield learner.collect().episode("random")
    for _ in range(episodes - 1):
        learner.fit()
        rollout, predicted = learner.open_loop()
        yield rollout.episode("open_loop", predicted)
