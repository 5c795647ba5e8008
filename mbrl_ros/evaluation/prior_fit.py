"""Fit a prior to all past data, and find out how far it may be trusted (`mbrl fit-prior`).

The model is fitted to all transitions. Its spread, a fraction of the wide prior of a robot of which nothing is known,
is chosen by prediction: each half of the recordings' time is predicted by the refitting estimator with the model of the
other half as its prior, and the fraction with the best log likelihood is stored with the model (empirical Bayes).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Recording
from ..data.dataset import Dataset
from ..dynamics.priors import gmm
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from .scores import LearnedPrior, Scores, Trace, dynamics_for, evaluate, learned_prior

FRACTIONS = (0.03, 0.1, 0.3, 1.0)
FEWEST_TRANSITIONS = 200  # transitions below which a global model is not worth fitting
# kinds to which transitions can be added without the data behind them
EXTENDABLE: dict[str, Callable[[dict[str, Array], Dataset], dict[str, Array]]] = {"gmm": gmm.add}


@dataclass(frozen=True, eq=False, slots=True)
class Fitted:
    """A fitted prior's arrays, the data behind it, and its held-out scores per fraction of the wide spread."""

    kind: str
    arrays: dict[str, Array]
    data: Dataset
    held_out: dict[float, Scores]

    @property
    def fraction(self) -> float:
        """The chosen fraction of the wide spread."""
        return float(self.arrays["spread_scale"])


def fit_prior(
    recordings: list[Recording],
    robot: Robot,
    kind: str,
    *,
    dataset: Dataset | None = None,
    extend: dict[str, Array] | None = None,
    progress: Any = None,
) -> Fitted:
    """Fit a prior to recordings and, where given, the transitions of a data set.

    Parameters
    ----------
    kind : one of LEARNED
    dataset : further transitions, of earlier runs
    extend : the arrays of a fitted prior of a kind in EXTENDABLE, to which the transitions are added without the data
        behind it
    progress : wraps iterations (tqdm)

    Raises
    ------
    DataError : too few transitions, or the prior cannot be extended
    """
    module = learned_prior(kind)
    parts = ([] if dataset is None else [dataset]) + [Dataset.of(recording) for recording in recordings]
    count = sum(map(len, parts))
    if count < FEWEST_TRANSITIONS:
        raise DataError(
            f"{count} transitions are too few to fit a global model; at least {FEWEST_TRANSITIONS} are needed"
        )
    data = _joined(parts)
    if extend is None:
        arrays = module.fit(data, robot.command_upper, progress)
    elif kind in EXTENDABLE:
        arrays = EXTENDABLE[kind](extend, data)
    else:
        raise DataError(f"a {kind} prior cannot be extended without its data; keep them with --dataset")
    held_out = _held_out(recordings, robot, module, progress)
    best = min(held_out, key=lambda fraction: held_out[fraction].nll, default=1.0)
    return Fitted(kind, {**arrays, "spread_scale": np.array(best)}, data, held_out)


def _held_out(recordings: list[Recording], robot: Robot, module: LearnedPrior, progress: Any) -> dict[float, Scores]:
    """Return the scores of each fraction on the half of the time that the model was not fitted to."""
    if not recordings:
        return {}
    early = [Dataset.of(recording.part(-np.inf, 0.5 * recording.duration)) for recording in recordings]
    late = [Dataset.of(recording.part(0.5 * recording.duration, np.inf)) for recording in recordings]
    models = [module.fit(_joined(half), robot.command_upper, progress) for half in (early, late)]
    scores = {}
    for fraction in FRACTIONS:
        traces: list[Trace] = []
        for recording in recordings:
            middle = 0.5 * recording.duration
            for model, is_early in ((models[1], True), (models[0], False)):
                prior = module.from_arrays(model, robot, recording.period, fraction)
                trace = evaluate(recording, dynamics_for(recording, robot, "refit", prior)).scored()
                traces.append(trace.where((trace.stamps < middle) == is_early))
        scores[fraction] = functools.reduce(Trace.followed_by, traces).scores(0.0)
    return scores


def _joined(parts: list[Dataset]) -> Dataset:
    """Return one data set of all `parts`; DataError unless they belong to the same robot, interface and period."""
    return functools.reduce(Dataset.merged, parts)
