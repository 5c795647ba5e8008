"""The method `pets`: an ensemble that knows what it does not know, and plans by what its particles cost on average.

After every episode the probabilistic ensemble (dynamics/gaussian_ensemble.py) is fitted to all transitions, and in the
next one a plan is made at every step by the cross-entropy method over particles (particle_planner.py). A plan that is
good by one member only is good for few particles: p(theta | D) is averaged over and not maximized, which is what the
other methods do with the mean of their model (Chua et al., NeurIPS 2018). The first episode is random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from ..dynamics.gaussian_ensemble import EnsembleSettings, GaussianEnsemble, features, fit
from ..exceptions import DataError
from ..tasks.base import Task, TaskInfo
from ..types import Array, CommandVector, StateVector, Transition
from .base import Episode, Rollout, episode_seed, random_commands, roll_out
from .model_based import HELD_PERIODS, RANDOM_SHARE
from .particle_planner import ParticlePlanner, SearchSettings


@dataclasses.dataclass(frozen=True)
class Settings(EnsembleSettings, SearchSettings):
    """Those of the ensemble and those of the search."""


class EnsembleModel:
    """The `Members` of a task, fitted to all transitions that were shown."""

    def __init__(self, info: TaskInfo, settings: EnsembleSettings, seed: int):
        self.members, self._settings, self._seed, self._fits = settings.networks, settings, seed, 0
        self._X, self._U = np.zeros((0, 2 * info.n)), np.zeros((0, info.n))
        self._change = np.zeros((0, info.n))
        self._ensemble: GaussianEnsemble | None = None

    def add(self, transitions: Sequence[Transition]) -> None:
        """Add the transitions of an episode."""
        n = self._U.shape[1]
        self._X = np.vstack([self._X, *(t.x for t in transitions)])
        self._U = np.vstack([self._U, *(t.u for t in transitions)])
        self._change = np.vstack([self._change, *(t.x_next[n:] - t.x[n:] for t in transitions)])

    def fit(self) -> None:
        """Fit the ensemble anew to all that was added."""
        seed = episode_seed(self._seed, self._fits)
        self._ensemble = fit(features(self._X, self._U), self._change, self._settings, seed)
        self._fits += 1

    def change(self, X: Array, U: Array) -> tuple[Array, Array]:
        """See `Members`; DataError before the first fit."""
        if self._ensemble is None:
            raise DataError("nothing was fitted yet")
        return self._ensemble.predict(features(X, U))


def learn(task: Task, seed: int, episodes: int, settings: Settings | None = None) -> Iterator[Episode]:
    """See `Method`; settings: None: the defaults."""
    info, settings = task.info, settings or Settings()
    model = EnsembleModel(info, settings, seed)
    planner = ParticlePlanner(info, settings, settings.networks, seed)
    U = random_commands(task, np.random.default_rng(seed), HELD_PERIODS, RANDOM_SHARE)
    rollout = roll_out(task, episode_seed(seed, 0), lambda t, x: U[t])
    yield rollout.episode("random")
    for number in range(1, episodes):
        model.add(rollout.transitions)
        model.fit()
        rollout = _under_plans(task, episode_seed(seed, number), model, planner)
        yield rollout.episode("mpc")


def _under_plans(task: Task, start: int, model: EnsembleModel, planner: ParticlePlanner) -> Rollout:
    """Run an episode from the start of seed `start`, planning at every step."""
    previous = np.zeros(task.info.n)
    planner.reset()

    def act(t: int, x: StateVector) -> CommandVector:
        u = planner.plan(model, x, previous)[0]
        previous[:] = u
        return np.array(u)

    return roll_out(task, start, act)
