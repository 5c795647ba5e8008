r"""Learning from a recording: episode k fits a method's model to the first k of the shares and judges its predictions.

    q' = q + dt/2 (qd + qd'),   qd' = qd + mean(x, u),    WINDOW_STEPS times in a row with the recorded commands

(tasks/recording.py has the score, which stands where other tasks have a return). `online` predicts with the local
model about the present point and goes on learning through the held-out half, one transition behind its predictions,
as it does on a robot; the global models are those of `fit_once`, `pets` and `bnn`, fitted before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..dynamics.gaussian_ensemble import features
from ..exceptions import ConfigurationError
from ..tasks.recording import Recorded
from ..types import Array, Transition
from . import bnn, pets
from .base import Episode
from .catalog import learner
from .ensemble_model import BayesianModel, EnsembleModel, NetworkModel
from .global_model import GlobalModel
from .online import local_model

OFFLINE_METHODS = ("online", "fit_once", "pets", "bnn")


class Predictor(Protocol):
    """A model that is learned from a recording."""

    def learn(self, transitions: Sequence[Transition]) -> None:
        """Take in more transitions, which follow those before."""

    def velocities(self, recorded: Recorded) -> Array:
        """Return the velocities (K, n) predicted for the ends of the windows of `recorded`."""


class NetworksPredictor:
    """The mean of networks, all windows at once; see `Predictor`."""

    def __init__(self, model: NetworkModel, dt: float):
        self._model, self._dt = model, dt

    def learn(self, transitions: Sequence[Transition]) -> None:
        """See `Predictor`."""
        self._model.add(transitions)
        self._model.fit()

    def velocities(self, recorded: Recorded) -> Array:
        """See `Predictor`."""
        n, held = recorded.info.n, recorded.held_out
        X = np.array([held[k].x for k in recorded.windows[:, 0]])
        for column in recorded.windows.T:
            U = np.array([held[k].u for k in column])
            rate = X[:, n:] + self._model.ensemble.moments(features(X, U))[0]
            X = np.hstack([X[:, :n] + 0.5 * self._dt * (X[:, n:] + rate), rate])
        return X[:, n:]


class GlobalPredictor:
    """The bootstrap ensemble of `fit_once`; see `Predictor`."""

    def __init__(self, model: GlobalModel):
        self._model = model

    def learn(self, transitions: Sequence[Transition]) -> None:
        """See `Predictor`."""
        self._model.add(transitions)
        self._model.fit()

    def velocities(self, recorded: Recorded) -> Array:
        """See `Predictor`."""
        held, found = recorded.held_out, []
        for window in recorded.windows:
            x = held[window[0]].x
            for k in window:
                x = self._model.predict(x, held[k].u)
            found.append(x[recorded.info.n :])
        return np.array(found)


class LocalPredictor:
    """The local model of `online`; see `Predictor`. What it saw of the held-out half is forgotten again."""

    def __init__(self) -> None:
        self._seen: list[Transition] = []

    def learn(self, transitions: Sequence[Transition]) -> None:
        """See `Predictor`."""
        self._seen.extend(transitions)

    def velocities(self, recorded: Recorded) -> Array:
        """See `Predictor`."""
        model = local_model(recorded.info)
        for transition in self._seen:
            model.update(transition)
        held, found = recorded.held_out, {}
        ends = {int(window[0]): window for window in recorded.windows}
        for number, transition in enumerate(held):
            if number in ends:
                x, local = transition.x, model.fit(transition.x, transition.u)
                for k in ends[number]:
                    x = local.predict(x, held[k].u)
                found[number] = x[recorded.info.n :]
            model.update(transition)
        return np.array([found[int(window[0])] for window in recorded.windows])


def check(method: str, changes: Mapping[str, Any]) -> None:
    """Raise ConfigurationError unless `method` learns from a recording and has the settings `changes`."""
    learner(method, changes)
    if method not in OFFLINE_METHODS:
        raise ConfigurationError(
            f"'{method}' cannot learn from a recording, {', '.join(OFFLINE_METHODS)} can", key="--method", value=method
        )


def predictor(method: str, recorded: Recorded, seed: int, changes: Mapping[str, Any]) -> Predictor:
    """Return the model of `method`, one of OFFLINE_METHODS, with some of its settings changed."""
    info = recorded.info
    if method == "online":
        return LocalPredictor()
    if method == "fit_once":
        return GlobalPredictor(GlobalModel(info, seed))
    if method == "pets":
        return NetworksPredictor(EnsembleModel(info, pets.Settings.from_mapping(changes), seed), info.dt)
    return NetworksPredictor(BayesianModel(info, bnn.Settings.from_mapping(changes), seed), info.dt)


def learn(
    method: str, path: Path, seed: int, episodes: int, changes: Mapping[str, Any] | None = None
) -> Iterator[Episode]:
    """Yield an episode for every share of the recording that is learned from, its score as the return.

    Raises
    ------
    ConfigurationError : the method has no model that learns from a recording, or no such setting
    DataError, OSError : the recording cannot be read
    """
    check(method, changes or {})
    recorded = Recorded(path)
    model = predictor(method, recorded, seed, changes or {})
    for number in range(episodes):
        share = recorded.share(number, episodes)
        model.learn(share)
        yield Episode(len(share), recorded.score(model.velocities(recorded)), "recorded")
