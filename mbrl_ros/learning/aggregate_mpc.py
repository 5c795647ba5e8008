"""The method `aggregate_mpc`: as `aggregate`, but every episode plans again at every step.

Replanning corrects at once what the model got wrong in the step before, so that a worse model is enough (Nagabandi et
al., ICRA 2018). The first episode is random.
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
        yield learner.closed_loop().episode("mpc")
