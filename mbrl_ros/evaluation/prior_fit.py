"""Fit a prior to all past data, and find out how far it may be trusted (`mbrl fit-prior`).

The model is fitted to all transitions. Its spread, a fraction of the wide belief of a robot of which nothing is known, is
chosen by prediction: each half of the recordings' time is predicted by the refitting estimator with the model of the
other half as its prior, and the fraction with the best log likelihood is stored with the model (empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config import registry
from ..data import Recording
from ..data.dataset import Dataset
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from .scores import Scores, Trace, dynamics_for, evaluate

FRACTIONS = (0.03, 0.1, 0.3, 1.0)
MINIMUM = 200  # transitions below which a global model is not worth fitting


@dataclass(frozen=True, eq=False, slots=True)
class Fitted:
    """A fitted prior's arrays, the data behind it, and its held-out scores per fraction of the wide spread."""

    kind: str
    arrays: dict[str, Array]
    data: Dataset
    held_out: dict[float, Scores]

    @property
    def fraction(self) -> float:
        return float(self.arrays["spread_scale"])


def fit_prior(
    recordings: list[Recording],
    robot: Robot,
    kind: str,
    *,
    dataset: Dataset | None = None,
    extend: dict[str, Array] | None = None,
    progress=None,
) -> Fitted:
    """The prior `kind` (global_linear, gmm, ensemble) fitted to `recordings` and the transitions of `dataset`.

    extend: the arrays of a fitted gmm, to which the transitions are added without the data behind it.
    """
    module = registry.load("prior", kind)
    data = dataset
    for recording in recordings:
        one = Dataset.of(recording)
        data = one if data is None else data.merged(one)
    if len(data) < MINIMUM:
        raise DataError(f"{len(data)} transitions are too few to fit a global model; at least {MINIMUM} are needed")
    if extend is not None and not hasattr(module, "add"):
        raise DataError(f"a {kind} prior cannot be extended without its data; keep them with --dataset")
    arrays = module.fit(data, robot.command_upper, progress) if extend is None else module.add(extend, data)
    held_out = _held_out(recordings, robot, module, progress)
    best = min(held_out, key=lambda fraction: held_out[fraction].nll, default=1.0)
    return Fitted(kind, {**arrays, "spread_scale": np.array(best)}, data, held_out)


def _held_out(recordings: list[Recording], robot: Robot, module, progress) -> dict[float, Scores]:
    if not recordings:
        return {}
    halves: list[Dataset] = []
    for early in (True, False):
        parts = [
            Dataset.of(
                recording.part(-np.inf, 0.5 * recording.duration)
                if early
                else recording.part(0.5 * recording.duration, np.inf)
            )
            for recording in recordings
        ]
        data = parts[0]
        for part in parts[1:]:
            data = data.merged(part)
        halves.append(data)
    models = [module.fit(half, robot.command_upper, progress) for half in halves]
    scores = {}
    for fraction in FRACTIONS:
        whole: Trace | None = None
        for recording in recordings:
            middle = 0.5 * recording.duration
            for model, early in ((models[1], True), (models[0], False)):
                prior = module.from_arrays(model, robot, recording.period, fraction)
                trace = evaluate(recording, dynamics_for(recording, robot, "refit", prior)).scored()
                trace = trace.where((trace.stamps < middle) == early)
                whole = trace if whole is None else whole.followed_by(trace)
        scores[fraction] = whole.scores(0.0)
    return scores
