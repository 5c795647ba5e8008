"""The method `bnn`: as `pets`, with members that are sampled from a posterior p(theta | D) over networks.

After every episode the posterior (dynamics/bayesian_network.py) is fitted to all transitions. Every plan has samples of
its own of p(theta | D), so that what an episode does rests on many more than `networks` of them, and particles carry
them through the plan as those of `pets` do their members: one for the whole plan (`ts_infinity`) or another of them at
every stage (`ts1`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..dynamics.bayesian_network import PosteriorSettings
from ..tasks.base import Task
from .base import Episode
from .ensemble_model import BayesianModel
from .particle_planner import SearchSettings
from .pets import learn_under_plans


@dataclasses.dataclass(frozen=True)
class Settings(PosteriorSettings, SearchSettings):
    """Those of the posterior and those of the search."""


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; settings: None: the defaults."""
    settings = settings or Settings()
    model = BayesianModel(task.info, settings, seed)
    return learn_under_plans(task, seed, episodes, model, settings)
