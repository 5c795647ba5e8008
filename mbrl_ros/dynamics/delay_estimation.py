r"""Estimate how many ticks after its state was measured a command acts, from ordinary operation.

A command u_k computed from the state stamped t_k acts from t_k + d dt on, d = i + a. To first order (delay.py)

    y_k = qd_k+1 - qd_k = B u(d)_k + A [q_k; qd_k] + c + e_k,      u(d)_k = (1 - a) u_k-i + a u_k-i-1

with unknown B, A, c and R. Measured velocities carry noise: v_k in qd_k enters y_k as v_k+1 - v_k, which a controller
that feeds qd_k back correlates with its commands, and a least-squares d comes out too long. With measurement and
process noise together e_k is a moving average, e_k = w_k+1 - g w_k with white w and 0 <= g <= 1 (the innovations form;
Ljung 1999, section 4.2). Filtering every signal by 1 / (1 - g z^-1) whitens it, and the profile likelihood of d and g
is

    log L(d, g) = -N/2 log det R(d, g),  R = S_yy - S_yu(d) S_u(d)u(d)^-1 S_u(d)y      (all given [q; qd; 1])

with S the second moments of the filtered (u_k .. u_k-L, q, qd, 1, y), kept with exponential forgetting for each g of
COLORS: cross-correlation of commands and accelerations, with coupling between joints, gravity and feedback accounted
for. Whatever lies between command and acceleration counts: transport, computation, and an actuator's lag as about its
time constant. With a flat prior on [0, L] the likelihood at the best g is the posterior of d; its mean and spread are
the answer. N counts half, since no model is exact.

Forgetting lets the estimate follow a delay that changes. Without excitation R(d) is the same for every d, the posterior
is flat and the estimate is not confident; where commands explain little (stops, contacts, a safe command that only
damps) the model is not the robot's, and the estimate is not used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator
from typing import TypeAlias

import numpy as np

from ..config.sections.dynamics import DelaySettings
from ..types import Array, CommandVector, JointVector

RESOLUTION = 0.05  # [ticks] resolution of the estimate
BLOCK_TICKS = 16  # [ticks]
COLORS = (0.0, 0.6, 0.9)  # g: process noise alone, ... , nearly only measurement noise
_COLORS = np.array(COLORS)[:, None]


@dataclasses.dataclass(frozen=True, slots=True)
class DelayEstimate:
    """Delay [ticks] with its standard deviation; `confidence`: the probability of +- a quarter tick around it.

    `explained` is the share of the accelerations' variance that the commands explain (per joint, geometric mean).
    `usable`: confidence and explained share suffice, and the delay is not at the end of the range considered.
    """

    ticks: float
    std: float
    confidence: float
    explained: float
    usable: bool

    @property
    def whole(self) -> int:
        """The nearest integer delay."""
        return round(self.ticks)


# correlations given [q; qd; 1]: of the commands (lags, lags, n, n), with y (lags, n, n), of y (n, n), and the log
# determinant of y's scale
_Conditional: TypeAlias = tuple[Array, Array, Array, float]


class DelayEstimator:
    """Keeps the moments of n joints' motion in periods of dt [s].

    Call `update` once per tick (some microseconds) and `estimate` now and then (half a millisecond), or `estimating` in
    steps of a quarter of that.
    """

    def __init__(self, n: int, dt: float, settings: DelaySettings | None = None):
        self.settings = settings or DelaySettings()
        self.n, self.dt, self.lags = n, dt, self.settings.longest + 1
        self._forgetting = np.exp(-dt / max(self.settings.memory, 2.0 * self.settings.fewest * dt))
        self._size = n * self.lags + n + 2 * n + 1  # commands by lag, y, [q; qd; 1]
        self._zeros = np.zeros(self._size)
        self._moments = np.zeros((len(COLORS), self._size, self._size))
        self._block = np.ones((BLOCK_TICKS, self._size))  # newest rows, not yet in the moments
        self._filters = np.zeros((len(COLORS), self._size))
        self._filled, self._count = 0, 0.0
        self._commands: list[CommandVector] = []
        self._previous: tuple[float, JointVector, JointVector] | None = None

    def reset(self) -> None:
        """Forget all data."""
        self._moments = np.zeros((len(COLORS), self._size, self._size))
        self._block = np.ones((BLOCK_TICKS, self._size))
        self._filters = np.zeros((len(COLORS), self._size))
        self._filled, self._count = 0, 0.0
        self._commands, self._previous = [], None

    def update(self, stamp: float, q: Array, qd: Array, command: Array) -> None:
        """Add the state q (n,), qd (n,) measured at `stamp` [s] and the command (n,) applied for it."""
        if self._previous is not None and abs(stamp - self._previous[0] - self.dt) > 0.2 * self.dt:
            self._commands = []  # a gap: which commands acted in it is unknown
            self._fold()
            self._filters[:] = 0.0
        elif self._previous is not None and len(self._commands) == self.lags:
            z = self._block[self._filled]
            np.concatenate([*self._commands, qd - self._previous[2], self._previous[1], self._previous[2]], out=z[:-1])
            self._filled += math.isfinite(z @ self._zeros)  # 0 unless an entry is not finite
            if self._filled == BLOCK_TICKS:
                self._fold()
        self._previous = (stamp, np.array(q), np.array(qd))
        self._commands = [np.array(command), *self._commands[: self.lags - 1]]

    def estimate(self) -> DelayEstimate | None:
        """Return the delay, or None while there is too little data."""
        steps = self.estimating()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: DelayEstimate | None = end.value
                return found

    def estimating(self) -> Generator[None, None, DelayEstimate | None]:
        """Estimate in steps short enough for a control thread; the generator's return value is the estimate."""
        self._fold()
        if self._count < self.settings.fewest:
            return None
        count, moments = self._count, self._moments / self._count
        best: tuple[Array, _Conditional] | None = None
        coarse = np.arange(0.0, self.lags - 0.75, 0.5)
        for of_color in moments:
            conditional = self._given_state(of_color)
            if conditional is None:
                return None
            values = self._log_determinants(coarse, *conditional)
            if best is None or values.min() < best[0].min():
                best = values, conditional
            yield
        if best is None:
            return None
        values, conditional = best
        rough = coarse[np.argmin(values)]
        fine = np.round(
            np.arange(max(0.0, rough - 0.5), min(self.lags - 1.0, rough + 0.5) + 0.5 * RESOLUTION, RESOLUTION), 6
        )
        new = np.setdiff1d(fine, coarse)
        grid = np.concatenate([coarse, new])
        values = np.concatenate([values, self._log_determinants(new, *conditional)])
        order = np.argsort(grid)
        return self._posterior(grid[order], values[order], count, np.linalg.slogdet(conditional[2])[1] + conditional[3])

    def _posterior(self, grid: Array, values: Array, count: float, without_commands: float) -> DelayEstimate:
        """Return the estimate from log det R (D,) at the delays `grid` (D,) and that without any command."""
        explained = float(1.0 - np.exp((values.min() - without_commands) / self.n))
        log_likelihood = -0.25 * count * values
        # each grid point stands for the stretch half way to its neighbors
        weight = np.gradient(grid) * np.exp(log_likelihood - log_likelihood.max())
        weight /= weight.sum()
        mean = float(weight @ grid)
        std = float(np.sqrt(max(weight @ (grid - mean) ** 2, (RESOLUTION / 2.0) ** 2)))
        inside = float(weight[np.abs(grid - mean) <= 0.25 + 1e-9].sum())
        usable = (
            inside >= self.settings.confidence
            and explained >= self.settings.explained
            and mean < self.settings.longest - 0.25
        )
        return DelayEstimate(mean, std, inside, explained, usable)

    def _fold(self) -> None:
        """Move the newest rows into the moments: one matrix product instead of many outer ones."""
        decay = self._forgetting**self._filled
        rows = self._block[: self._filled]
        self._moments *= decay
        for k, filtered in enumerate(self._whitened(rows) if len(rows) else ()):
            self._moments[k] += filtered.T @ filtered
        self._count = decay * self._count + self._filled
        self._filled = 0

    def _whitened(self, rows: Array) -> Array:
        """Return the rows filtered by 1 / (1 - g z^-1) for each g of COLORS, after those filtered before."""
        filtered = np.empty((len(COLORS), *rows.shape))
        for k, row in enumerate(rows):
            np.add(row, self._filters, out=filtered[:, k])
            np.multiply(_COLORS, filtered[:, k], out=self._filters)
        return filtered

    def _given_state(self, S: Array) -> _Conditional | None:
        """Return the correlations given [q; qd; 1]; None where nothing moves or nothing commands."""
        n, first = self.n, self.n * self.lags
        others, state = slice(0, first + n), slice(first + n, self._size)
        inner = S[state, state]
        inner = inner + 1e-10 * np.diag(np.maximum(np.diag(inner), 1e-12))
        C = S[others, others] - S[others, state] @ np.linalg.solve(inner, S[state, others])
        scale = np.sqrt(np.maximum(np.diag(C), 0.0))
        floor = 1e-9 * np.sqrt(np.maximum(np.diag(S)[others], 0.0)) + 1e-15
        if (scale[-n:] <= floor[-n:]).all() or (scale[:first] <= floor[:first]).all():
            return None
        scale = np.where(scale > floor, scale, 1.0)
        C = C / scale[:, None] / scale
        commands = C[:first, :first].reshape(self.lags, n, self.lags, n).transpose(0, 2, 1, 3)
        return commands, C[:first, first:].reshape(self.lags, n, n), C[first:, first:], 2.0 * np.log(scale[-n:]).sum()

    def _log_determinants(self, delays: Array, commands: Array, with_y: Array, y: Array, scale: float) -> Array:
        """Return log det R(d) (D,) at the delays d (D,); the other arguments as in _Conditional."""
        whole = np.minimum(delays.astype(int), self.lags - 2)
        a = (delays - whole)[:, None, None]
        i, j = whole, whole + 1
        cross = commands[i, j]
        A = (1.0 - a) ** 2 * commands[i, i] + a * (1.0 - a) * (cross + cross.transpose(0, 2, 1)) + a**2 * commands[j, j]
        B = (1.0 - a) * with_y[i] + a * with_y[j]
        ridge = 1e-6 * np.eye(self.n)
        R = y + ridge - B.transpose(0, 2, 1) @ np.linalg.solve(A + ridge, B)
        values: Array = np.linalg.slogdet(R)[1] + scale
        return values
