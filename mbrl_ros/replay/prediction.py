"""How well the replayed model predicts, tick by tick, in bounded memory, with the scores of evaluation/scores.py.

For the transition (x_k, u_k, x_k+1), before it is learned from, the model is fitted about (x_k, u_k) and rolled through
the ten commands that follow:

    nmse_1_qd   sum |qd_k+1 - qd^_k+1|^2 / sum |qd_k+1 - qd_k|^2
    nmse_10_q   sum |q_k+10 - q^_k+10|^2 / sum |q_k+10 - q_k|^2

and nis_coverage_95 is the share of the ticks whose NIS lies below its 95 % bound. The first second is not scored.
"""

from __future__ import annotations

import math

import numpy as np

from ..dynamics.base import Estimator
from ..evaluation.scores import SCORE_WARM_UP, STEPS
from ..types import Array, Decision, Transition

FEWEST_PREDICTIONS = 10  # scored ticks below which the warm-up is scored too


class _Sums:
    def __init__(self) -> None:
        self.count = self.inside = 0
        self.error = self.change = self.far_error = self.far_change = 0.0

    def scores(self) -> dict[str, float | None]:
        return {
            "nmse_1_qd": _ratio(self.error, self.change),
            "nmse_10_q": _ratio(self.far_error, self.far_change),
            "nis_coverage_95": _ratio(self.inside, self.count),
        }


class PredictionScores:
    """Scores every transition that `dynamics` is about to learn from, and the decision that follows.

    It is given to `Estimator.show_transitions_to`. `far` is the squared error and the squared motion over ten ticks, of
    the prediction that ended last; NaN where none did.
    """

    def __init__(self, dynamics: Estimator):
        self._dynamics, self.n = dynamics, dynamics.n
        self._all, self._scored = _Sums(), _Sums()
        nx, nu = 2 * (dynamics.n + dynamics.m), dynamics.n
        # the models fitted at the last STEPS transitions, where each began and how far it has been rolled
        self._F, self._f = np.zeros((STEPS, nx, nx + nu)), np.zeros((STEPS, nx))
        self._start, self._rolled, self._count = np.zeros((STEPS, nx)), np.zeros((STEPS, nx)), 0
        self._begin = self._end = math.nan
        self._change: Array | None = None
        self.far = (math.nan, math.nan)

    def add(self, transition: Transition) -> None:
        """Predict a transition, and through it those of the last ten ticks."""
        n, stamp, dt = self.n, transition.stamp, self._dynamics.dt
        if math.isnan(self._begin):
            self._begin = stamp
        if not abs(stamp - self._end) < 0.2 * dt:
            self._count = 0
        self._end = stamp + dt
        self._change = transition.x_next[n : 2 * n] - transition.x[n : 2 * n]
        model, k = self._dynamics.fit(transition.x, transition.u), self._count % STEPS
        self._F[k], self._f[k] = model.F[0], model.f[0]
        self._start[k] = self._rolled[k] = transition.x
        self._count += 1
        nx = transition.x.size
        with np.errstate(over="ignore", invalid="ignore"):  # a bad model may predict anything ten ticks ahead
            self._rolled = (
                (self._F[:, :, :nx] @ self._rolled[:, :, None])[:, :, 0] + self._F[:, :, nx:] @ transition.u + self._f
            )
        self.far = (math.nan, math.nan)
        if self._count >= STEPS:
            k = self._count % STEPS  # the oldest
            self.far = (
                _squared(transition.x_next[:n] - self._rolled[k, :n]),
                _squared(transition.x_next[:n] - self._start[k, :n]),
            )
            for sums in self._sums(stamp - (STEPS - 1) * dt):
                sums.far_error += self.far[0]
                sums.far_change += self.far[1]

    def add_decision(self, decision: Decision, bound: float) -> None:
        """Score the innovation of a decision; `bound` is that of its NIS."""
        if decision.innovation is None or self._change is None:
            return
        for sums in self._sums(self._end - self._dynamics.dt):
            sums.count += 1
            sums.inside += decision.nis <= bound
            sums.error += _squared(decision.innovation)
            sums.change += _squared(self._change)

    def scores(self) -> dict[str, float | None]:
        """Return {nmse_1_qd, nmse_10_q, nis_coverage_95}; None where nothing could be scored."""
        return (self._scored if self._scored.count >= FEWEST_PREDICTIONS else self._all).scores()

    def _sums(self, stamp: float) -> tuple[_Sums, ...]:
        return (self._all, self._scored) if stamp - self._begin >= SCORE_WARM_UP else (self._all,)


def _squared(values: Array) -> float:
    with np.errstate(over="ignore"):
        return float(values @ values)


def _ratio(part: float, whole: float) -> float | None:
    ratio = part / whole if whole > 0.0 else math.nan
    return float(ratio) if math.isfinite(ratio) else None


def nothing_scored() -> dict[str, float | None]:
    """Return the scores of a replay that predicts nothing."""
    return _Sums().scores()
