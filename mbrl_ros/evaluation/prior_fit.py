"""Fit a prior to all past data, and find out how far it may be trusted (`mbrl fit-prior`).

The model is fitted to all transitions. Its spread, a fraction of the wide prior of a robot of which nothing is known,
is chosen by prediction: each half of the recordings' time is predicted by the refitting estimator with the model of the
other half as its prior, and the fraction with the best log likelihood is stored with the model (empirical Bayes). What
predicts well in the loop that was recorded need not tell what a command does: how much the data leave open of every
coefficient (identifiability.py) is stored as well, and the spread is never less. A linear model is fitted about what
the URDF tells; where the data do not tell the gain, that of the URDF stays, and all is as open as before any data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Recording
from ..data.dataset import Dataset
from ..dynamics.priors import global_linear, gmm
from ..exceptions import DataError
from ..robots import Robot
from ..types import Array
from .identifiability import InputGainFit, aligned, held, judge_gain, known_model
from .scores import LearnedPrior, Scores, Trace, dynamics_for, evaluate, learned_prior

FRACTIONS = (0.03, 0.1, 0.3, 1.0)
FEWEST_TRANSITIONS = 200  # transitions below which a global model is not worth fitting
ABOUT_KNOWN = ("global_linear",)  # kinds that are fitted about what the URDF tells
# kinds to which transitions can be added without the data behind them
EXTENDABLE: dict[str, Callable[[dict[str, Array], Dataset], dict[str, Array]]] = {"gmm": gmm.add}


@dataclass(frozen=True, eq=False, slots=True)
class Fitted:
    """A fitted prior's arrays, the data behind it, its held-out scores per fraction of the wide spread, and the gain.

    delays: of every recording [ticks], and whether the recording told it.
    """

    kind: str
    arrays: dict[str, Array]
    data: Dataset
    held_out: dict[float, Scores]
    gain: InputGainFit
    delays: dict[str, tuple[float, bool]]

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
    delay: float | None = None,
    progress: Any = None,
) -> Fitted:
    """Fit a prior to recordings and, where given, the transitions of a data set.

    Parameters
    ----------
    recordings : with the commands when they were given; none of them: the data set is held out, run by run
    kind : one of LEARNED
    delay : of the commands [ticks] where a recording does not tell it; None: see `identifiability.aligned`
    dataset : further transitions, of earlier runs
    extend : the arrays of a fitted prior of a kind in EXTENDABLE, to which the transitions are added without the data
        behind it
    progress : wraps iterations (tqdm)

    Raises
    ------
    DataError : too few transitions, or the prior cannot be extended
    """
    module, shifted = learned_prior(kind), [aligned(recording, delay) for recording in recordings]
    recordings = [recording for recording, *_ in shifted]
    parts = ([] if dataset is None else [dataset]) + [Dataset.of(recording) for recording in recordings]
    count = sum(map(len, parts))
    if count < FEWEST_TRANSITIONS:
        raise DataError(
            f"{count} transitions are too few to fit a global model; at least {FEWEST_TRANSITIONS} are needed"
        )
    data = _joined(parts)
    known = known_model(robot, data)
    gain = judge_gain(data, robot.command_scale, known)
    fit, untold = module.fit, gain.spread
    if kind in ABOUT_KNOWN and known is not None:
        fit = functools.partial(global_linear.fit, known=known if gain.told else held(known, robot.n))
        untold = gain.spread if gain.told else known[1]
    if extend is None:
        arrays = fit(data, robot.command_scale, progress)
    elif kind in EXTENDABLE:
        arrays = EXTENDABLE[kind](extend, data)
    else:
        raise DataError(f"a {kind} prior cannot be extended without its data; keep them with --dataset")
    tried = recordings or data.recordings()
    held_out = _held_out(tried, robot, module, fit, progress)
    best = min(held_out, key=lambda fraction: held_out[fraction].nll, default=1.0)
    if fit is not module.fit and not gain.told:
        best = FRACTIONS[0]  # the spread is that of before any data
    arrays = {**arrays, "spread_scale": np.array(best), "untold": untold}
    delays = {recording.name: (ticks, told) for recording, ticks, told in shifted}
    return Fitted(kind, arrays, data, held_out, gain, delays)


def _held_out(
    recordings: list[Recording], robot: Robot, module: LearnedPrior, fit: Callable[..., dict[str, Array]], progress: Any
) -> dict[float, Scores]:
    """Return the scores of each fraction on the half of the time that the model was not fitted to."""
    if not recordings:
        return {}
    early = [Dataset.of(recording.part(-np.inf, 0.5 * recording.duration)) for recording in recordings]
    late = [Dataset.of(recording.part(0.5 * recording.duration, np.inf)) for recording in recordings]
    models = [fit(_joined(half), robot.command_scale, progress) for half in (early, late)]
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
