"""How well a model predicts, for diagnostics."""

from __future__ import annotations

import math

from ..types import Array, Decision, Observation


class PredictionQuality:
    """How well the model has predicted one tick ahead lately, in exponentially weighted averages over `memory` ticks.

    coverage: the share of normalised innovations squared (NIS) within their 95 % bound, 0.95 for a model that knows its
    own error; normalised_error: sum |v - v_predicted|^2 / sum |v - v_last|^2, 1 for the prediction of no change.
    """

    def __init__(self, memory: float = 1000.0):
        self._forgetting = 1.0 - 1.0 / memory
        self._count = self._inside = self._error = self._change = 0.0
        self._last: Array | None = None

    def add(self, observation: Observation, decision: Decision, bound: float) -> None:
        """Take in one tick; `bound` is the 95 % bound of its NIS."""
        last, self._last = self._last, observation.qd
        if decision.innovation is None or last is None:
            return
        change, keep = observation.qd - last, self._forgetting
        self._count = keep * self._count + 1.0
        self._inside = keep * self._inside + float(decision.nis <= bound)
        self._error = keep * self._error + float(decision.innovation @ decision.innovation)
        self._change = keep * self._change + float(change @ change)

    @property
    def coverage(self) -> float:
        """Return the share of NIS within their bound; NaN before the first."""
        return self._inside / self._count if self._count else math.nan

    @property
    def normalised_error(self) -> float:
        """Return the squared error of the velocities over that of no change; NaN where nothing changed."""
        return self._error / self._change if self._change else math.nan
