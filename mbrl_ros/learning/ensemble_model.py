"""The probabilistic ensemble (dynamics/gaussian_ensemble.py) as a task's model, fitted after every episode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dynamics.gaussian_ensemble import EnsembleSettings, GaussianEnsemble, features, fit
from ..exceptions import DataError
from ..tasks.base import TaskInfo
from ..types import Array, Transition
from .base import episode_seed


class EnsembleModel:
    """The `Members` of a task, fitted to all transitions that were shown.

    X (N, 2n): the states of these transitions.
    """

    def __init__(self, info: TaskInfo, settings: EnsembleSettings, seed: int):
        self.members, self._settings, self._seed, self._fits = settings.networks, settings, seed, 0
        self.X, self._U = np.zeros((0, 2 * info.n)), np.zeros((0, info.n))
        self._change = np.zeros((0, info.n))
        self._ensemble: GaussianEnsemble | None = None

    def add(self, transitions: Sequence[Transition]) -> None:
        """Add the transitions of an episode."""
        n = self._U.shape[1]
        self.X = np.vstack([self.X, *(t.x for t in transitions)])
        self._U = np.vstack([self._U, *(t.u for t in transitions)])
        self._change = np.vstack([self._change, *(t.x_next[n:] - t.x[n:] for t in transitions)])

    def fit(self) -> None:
        """Fit the ensemble anew to all that was added."""
        seed = episode_seed(self._seed, self._fits)
        self._ensemble = fit(features(self.X, self._U), self._change, self._settings, seed)
        self._fits += 1

    @property
    def ensemble(self) -> GaussianEnsemble:
        """The last fit; DataError before the first."""
        if self._ensemble is None:
            raise DataError("nothing was fitted yet")
        return self._ensemble

    def change(self, X: Array, U: Array) -> tuple[Array, Array]:
        """See `Members`; DataError before the first fit."""
        return self.ensemble.predict(features(X, U))
