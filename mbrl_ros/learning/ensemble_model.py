"""Networks that predict a task, fitted after every episode: an ensemble, or samples of a posterior over networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ..dynamics import bayesian_network, gaussian_ensemble
from ..dynamics.bayesian_network import Posterior, PosteriorSettings
from ..dynamics.calibration import spread_factors
from ..dynamics.gaussian_ensemble import EnsembleSettings, GaussianEnsemble, features
from ..exceptions import DataError
from ..tasks.base import TaskInfo
from ..types import Array, Transition
from .base import episode_seed

CALIBRATION_SAMPLES = 50  # of a posterior
SAMPLE_STREAM = 5  # beside a seed: what is drawn here is independent of what else is drawn with that seed


class NetworkModel(ABC):
    """The `Members` of a task, fitted to all transitions that were shown. A subclass says how.

    X (N, 2n): the states of these transitions; spread (n,): what the disagreement of the members is multiplied by.
    """

    def __init__(self, info: TaskInfo, members: int, seed: int):
        self.members, self._seed, self._fits = members, seed, 0
        self.X, self._U = np.zeros((0, 2 * info.n)), np.zeros((0, info.n))
        self._change, self.spread = np.zeros((0, info.n)), np.ones(info.n)
        self._ensemble: GaussianEnsemble | None = None

    def add(self, transitions: Sequence[Transition]) -> None:
        """Add the transitions of an episode."""
        X, U, change = rows_of(transitions)
        self.X, self._U = np.vstack([self.X, X]), np.vstack([self._U, U])
        self._change = np.vstack([self._change, change])

    def fit(self) -> None:
        """Fit the networks anew to all that was added."""
        seed = episode_seed(self._seed, self._fits)
        self._ensemble = self._fitted(features(self.X, self._U), self._change, seed)
        self._fits += 1

    @abstractmethod
    def _fitted(self, z: Array, d: Array, seed: int) -> GaussianEnsemble:
        """Return networks fitted to the features z (N, m) and the changes d (N, n)."""

    def redraw(self) -> None:  # noqa: B027  # an ensemble has nothing to draw
        """Draw the members of the next plan, where they are drawn."""

    def _judged(self) -> GaussianEnsemble:
        """Return what `calibrate` compares with data."""
        return self.ensemble

    def calibrate(self, transitions: Sequence[Transition]) -> None:
        """Choose `spread` by transitions that the last fit has not seen (dynamics/calibration.py)."""
        X, U, change = rows_of(transitions)
        self.spread = spread_factors(change, *self._judged().moments(features(X, U)))

    @property
    def ensemble(self) -> GaussianEnsemble:
        """The last fit; DataError before the first."""
        if self._ensemble is None:
            raise DataError("nothing was fitted yet")
        return self._ensemble

    def change(self, X: Array, U: Array) -> tuple[Array, Array]:
        """See `Members`; DataError before the first fit."""
        return self.ensemble.predict(features(X, U))

    def disagreement(self, X: Array, U: Array) -> Array:
        """See `Members`; DataError before the first fit."""
        return relative_disagreement(self.ensemble, X, U, self.spread)


class EnsembleModel(NetworkModel):
    """The probabilistic ensemble (dynamics/gaussian_ensemble.py)."""

    def __init__(self, info: TaskInfo, settings: EnsembleSettings, seed: int):
        super().__init__(info, settings.networks, seed)
        self._settings = settings

    def _fitted(self, z: Array, d: Array, seed: int) -> GaussianEnsemble:
        return gaussian_ensemble.fit(z, d, self._settings, seed)


class BayesianModel(NetworkModel):
    """Samples of a posterior (dynamics/bayesian_network.py), others for every plan."""

    def __init__(self, info: TaskInfo, settings: PosteriorSettings, seed: int):
        super().__init__(info, settings.networks, seed)
        self._settings, self._rng = settings, np.random.default_rng([seed, SAMPLE_STREAM])
        self._posterior: Posterior | None = None

    def _fitted(self, z: Array, d: Array, seed: int) -> GaussianEnsemble:
        self._posterior = bayesian_network.fit(z, d, self._settings, seed)
        return self._sampled(self.members)

    def redraw(self) -> None:
        """See `NetworkModel`; DataError before the first fit."""
        self._ensemble = self._sampled(self.members)

    def _judged(self) -> GaussianEnsemble:
        return self._sampled(CALIBRATION_SAMPLES)

    def _sampled(self, members: int) -> GaussianEnsemble:
        if self._posterior is None:
            raise DataError("nothing was fitted yet")
        return self._posterior.sample(members, self._rng)


def relative_disagreement(ensemble: GaussianEnsemble, X: Array, U: Array, spread: Array) -> Array:
    """Return (...,) the largest of spread_j std_j, std_j that of the members' means, in rms of the changes seen."""
    z = features(X, U)
    epistemic = ensemble.moments(z.reshape(-1, z.shape[-1]))[2].reshape(U.shape)
    largest: Array = (spread * np.sqrt(epistemic) / ensemble.scales.d_scale).max(axis=-1)
    return largest


def rows_of(transitions: Sequence[Transition]) -> tuple[Array, Array, Array]:
    """Return states X (N, 2n), commands U (N, n) and changes of the velocity (N, n)."""
    X, U = np.array([t.x for t in transitions]), np.array([t.u for t in transitions])
    n = U.shape[1]
    return X, U, np.array([t.x_next[n:] - t.x[n:] for t in transitions])
