r"""Predictions of a recording over 1, 10 and 30 steps, with intervals, and how often the intervals cover what came.

From the model (F, f, Sigma) that was fitted at tick k, with the commands that followed,

    x^_i+1 = F [x^_i; u_k+i] + f,        P_h = sum_i Y_i Sigma Y_i^T,        Y_i = F_x^(h-1-i) [dt/2 I; I]

holds the noise alone. The coefficients W are uncertain as well, with the covariance of posterior.py, and their error is
the same in every step of one prediction. To first order, with phi_i the regressors at x^_i, c_ia = L_a^-1 phi_i and
column a of Y_i for joint a,

    P_h = sum_ij sum_ab (delta_ij + c_ia^T c_jb) Sigma_ab Y_ia Y_jb^T

Without this the intervals for 30 steps cover far less than they claim. Positions have noise of their own:
the mean square of the h-step sums of q' - q - dt/2 (qd + qd'), of those sums that have ended at tick k, is added.

An interval is t_nu(level) sqrt(P_jj), with the degrees of freedom nu of Sigma. That holds for independent normal noise.
Where noise is correlated or has heavy tails, the interval needs a factor c, which is learned from the predictions whose
outcome is known at tick k, for each state, horizon and level, with r = FACTOR_RATE:

    c <- c exp(r (miss - (1 - level))),      miss = 1 where the outcome lay outside c t_nu(level) sqrt(P_jj), else 0

(quantile tracking: Gibbs and Candes, NeurIPS 2021; Angelopoulos, Candes and Tibshirani, NeurIPS 2023). Over T
predictions the share of misses differs from 1 - level by about log(c_max / c_min) / (r T) at most, whatever the noise
is. The share is right on average over time, not in every phase: after a rest c is too small for a moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from ..data import Recording
from ..dynamics import OnlineDynamics
from ..types import Array, LinearGaussianDynamics

HORIZONS = (1, 10, 30)  # steps
INTERVAL_LEVEL = 0.95
INTERVAL_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, INTERVAL_LEVEL, 0.99)  # at which factors are learned
FACTOR_RATE = 0.05
LARGEST_FACTOR = 16.0
SUMS_REMEMBERED = 50  # predictions, besides as many as the horizon has steps


@dataclass(frozen=True, eq=False, slots=True)
class Horizon:
    """Predictions over `steps` ticks of N transitions of n joints.

    Attributes
    ----------
    stamps : (N,) [s] when the prediction was made
    error : (N, 2n) of [q; qd]; NaN where the recording has a gap before the outcome or ends
    std : (N, 2n) what the model predicts of it
    dof : (N,) degrees of freedom of std
    factor : (N, 2n, levels) by which the interval of each of INTERVAL_LEVELS is widened or narrowed
    """

    steps: int
    stamps: Array
    error: Array
    std: Array
    dof: Array
    factor: Array

    def after(self, warm_up: float) -> Horizon:
        """Return the predictions with an outcome that were made `warm_up` [s] after the beginning or later."""
        return self.where((self.stamps >= warm_up) & np.isfinite(self.error[:, 0]))

    def where(self, rows: NDArray[np.bool_]) -> Horizon:
        """Return the predictions `rows` (N,)."""
        return Horizon(
            self.steps, self.stamps[rows], self.error[rows], self.std[rows], self.dof[rows], self.factor[rows]
        )

    def half_width(self, level: float = INTERVAL_LEVEL, *, learned: bool = True) -> Array:
        """Return half the width of the intervals (N, 2n) at one of INTERVAL_LEVELS, `learned` or by the model alone."""
        bound: Array = student_t.ppf(0.5 + 0.5 * level, self.dof)[:, None] * self.std
        return bound * self.factor[:, :, INTERVAL_LEVELS.index(level)] if learned else bound

    def coverage(self, level: float = INTERVAL_LEVEL, *, learned: bool = True) -> tuple[float, float]:
        """Return the share of the outcomes inside the intervals of `level`, of positions and of velocities."""
        n = self.error.shape[1] // 2
        inside = np.abs(self.error) <= self.half_width(level, learned=learned)
        return float(inside[:, :n].mean()), float(inside[:, n:].mean())

    def to_json(self) -> dict[str, float]:
        """Return root mean square errors, coverage and the root mean square half widths of the intervals."""
        n = self.error.shape[1] // 2
        result: dict[str, float] = {"predictions": len(self.error)}
        for name, part, index in (("q", slice(0, n), 0), ("qd", slice(n, None), 1)):
            result[f"rmse_{name}"] = float(np.sqrt((self.error[:, part] ** 2).mean()))
            result[f"coverage_95_{name}"] = self.coverage()[index]
            result[f"half_width_{name}"] = float(np.sqrt((self.half_width()[:, part] ** 2).mean()))
            result[f"coverage_95_{name}_model"] = self.coverage(learned=False)[index]
            result[f"half_width_{name}_model"] = float(np.sqrt((self.half_width(learned=False)[:, part] ** 2).mean()))
        return result


class LongPredictions:
    """Predicts from every tick that it is called at, over every one of `steps`, with the model fitted there."""

    def __init__(self, recording: Recording, dynamics: OnlineDynamics, steps: tuple[int, ...] = HORIZONS):
        self._recording, self._dynamics, self.steps = recording, dynamics, steps
        N, n = recording.q.shape
        self._n, self._X = n, np.hstack([recording.q, recording.qd])
        self._u = np.zeros((N, n)) if recording.u is None else recording.u
        self._parts = np.concatenate([[0], np.cumsum(~recording.joined())])  # number of the gaps before a sample
        self._input = np.vstack([0.5 * dynamics.dt * np.eye(n), np.eye(n)])
        self._error = {h: np.full((N, 2 * n), np.nan) for h in steps}
        self._variance = {h: np.full((N, 2 * n), np.nan) for h in steps}
        self._dof = np.full(N, np.nan)

    def __call__(self, k: int, model: LinearGaussianDynamics) -> None:
        """Predict from sample k with `model`, the last fit of the dynamics, before it learns what came next."""
        posterior, n = self._dynamics.posterior, self._n
        reach = min(max(self.steps), len(self._X) - 1 - k)
        reach = int(np.searchsorted(self._parts[k : k + reach + 1], self._parts[k], side="right")) - 1
        self._dof[k] = posterior.noise_dof
        states, phi, effects = [self._X[k]], [], [self._input]  # effects: F_x^i E
        for i in range(reach):
            phi.append(self._dynamics.regressors(states[-1], self._u[k + i]))
            states.append(model.predict(states[-1], self._u[k + i]))
            effects.append(model.F[0][:, : 2 * n] @ effects[-1])
        c = np.array(phi)
        c[:, :-1] -= posterior.center
        by_joint = c @ posterior.inverse_factors().transpose(0, 2, 1)  # (n, reach, D)
        for h in self.steps:
            if h <= reach:
                Y = np.array(effects[h - 1 :: -1])  # (h, 2n, n)
                shared = Y.transpose(2, 1, 0) @ by_joint[:, :h]  # (n, 2n, D): sum_i Y_ia c_ia^T
                of_coefficients = (np.tensordot(posterior.Sigma, shared, 1) * shared).sum(axis=(0, 2))
                self._error[h][k] = self._X[k + h] - states[h]
                self._variance[h][k] = (Y @ posterior.Sigma * Y).sum(axis=(0, 2)) + of_coefficients

    def horizons(self) -> list[Horizon]:
        """Return what was predicted over each of the steps."""
        q, qd, n = self._recording.q, self._recording.qd, self._n
        mismatch = np.diff(q, axis=0) - 0.5 * self._dynamics.dt * (qd[1:] + qd[:-1])
        travelled = np.vstack([np.zeros(n), np.cumsum(mismatch, axis=0)])
        made = np.isfinite(self._dof)
        result = []
        for h in self.steps:
            variance = self._variance[h].copy()
            variance[:, :n] += _known_mean_square(travelled, self._parts, h)
            error, std = self._error[h], np.sqrt(variance)
            bound = student_t.ppf(0.5 + 0.5 * np.array(INTERVAL_LEVELS), self._dof[:, None])
            factor = learned_factor(np.abs(error / std)[:, :, None] / bound[:, None], h)
            result.append(Horizon(h, self._recording.stamps, error, std, self._dof, factor).where(made))
        return result


def _known_mean_square(travelled: Array, parts: NDArray[np.int64], h: int) -> Array:
    """Return the mean square (N, n) of travelled[k+h] - travelled[k] over what is known at each tick."""
    result, total, weight = np.zeros_like(travelled), np.zeros(travelled.shape[1]), 0.0
    keep = 1.0 - 1.0 / (SUMS_REMEMBERED + h)
    for k in range(len(travelled)):
        if k >= h and parts[k] == parts[k - h]:
            total = keep * total + (travelled[k] - travelled[k - h]) ** 2
            weight = keep * weight + 1.0
        if weight:
            result[k] = total / weight
    return result


def learned_factor(ratio: Array, h: int) -> Array:
    """Return the factor c (N, k, levels) on the half widths of intervals, at every tick from the outcomes known there.

    ratio : (N, k, levels) |error| over the half widths without the factor; NaN: no outcome. h : ticks until it is known
    """
    factor, c, allowed = np.ones_like(ratio), np.ones(ratio.shape[1:]), 1.0 - np.array(INTERVAL_LEVELS)
    for k in range(len(ratio)):
        known = k - h
        if known >= 0 and np.isfinite(ratio[known]).all():
            missed = ratio[known] > factor[known]
            c = (c * np.exp(FACTOR_RATE * (missed - allowed))).clip(1.0 / LARGEST_FACTOR, LARGEST_FACTOR)
        factor[k] = c
    return factor
