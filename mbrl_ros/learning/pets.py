"""The method `pets`: an ensemble that knows what it does not know, and plans by what its particles cost on average.

After every episode the probabilistic ensemble (dynamics/gaussian_ensemble.py) is fitted to all transitions, and in the
next one a plan is made at every step by the cross-entropy method over particles (particle_planner.py). A plan that is
good by one member only is good for few particles: p(theta | D) is averaged over and not maximized, which is what the
other methods do with the mean of their model (Chua et al., NeurIPS 2018). The first episode is random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ..dynamics.gaussian_ensemble import EnsembleSettings
from ..tasks.base import Task
from ..types import CommandVector, StateVector
from .base import Episode, Rollout, episode_seed, random_commands, roll_out
from .ensemble_model import EnsembleModel, NetworkModel
from .model_based import HELD_PERIODS, RANDOM_SHARE
from .particle_planner import ParticlePlanner, SearchSettings


@dataclasses.dataclass(frozen=True)
class Settings(EnsembleSettings, SearchSettings):
    """Those of the ensemble and those of the search."""


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; settings: None: the defaults."""
    settings = settings or Settings()
    model = EnsembleModel(task.info, settings, seed)
    return learn_under_plans(task, seed, episodes, model, settings)


def learn_under_plans(
    task: Task, seed: int, episodes: int, model: NetworkModel, settings: SearchSettings
) -> Iterator[Episode]:
    """Yield a random episode, then episodes under plans over the particles of `model`, fitted before each of them."""
    planner = ParticlePlanner(task.info, settings, model.members, seed)
    U = random_commands(task, np.random.default_rng(seed), HELD_PERIODS, RANDOM_SHARE)
    rollout = roll_out(task, episode_seed(seed, 0), lambda t, x: U[t])
    yield rollout.episode("random")
    for number in range(1, episodes):
        if number > 1:
            model.calibrate(rollout.transitions)
        model.add(rollout.transitions)
        model.fit()
        rollout = _under_plans(task, episode_seed(seed, number), model, planner)
        yield rollout.episode("mpc")


def _under_plans(task: Task, start: int, model: NetworkModel, planner: ParticlePlanner) -> Rollout:
    """Run an episode from the start of seed `start`, planning at every step."""
    previous = np.zeros(task.info.n)
    planner.reset()

    def act(t: int, x: StateVector) -> CommandVector:
        model.redraw()
        u = planner.plan(model, x, previous)[0]
        previous[:] = u
        return np.array(u)

    return roll_out(task, start, act)
