"""The method `fit_once`: collect with random commands, fit the model once, plan through it.

All episodes but the last two are random (one at least); the model is fitted to them. The next one runs the commands of
one plan open loop, beside the return that the model promised for them: the planner finds where the model errs in its
favour, so that the promise is larger than what is earned. The last one plans at every step.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..tasks.base import Task
from .base import Episode
from .model_based import ModelBased


def learn(task: Task, seed: int, episodes: int) -> Iterator[Episode]:
    """See `Method`."""
    learner = ModelBased(task, seed)
    collected = max(1, episodes - 2)
    for _ in range(collected):
        yield learner.collect().episode("random")
    if episodes > collected:
        learner.fit()
        rollout, predicted = learner.open_loop()
        yield rollout.episode("open_loop", predicted)
    if episodes > collected + 1:
        yield learner.closed_loop().episode("mpc")
