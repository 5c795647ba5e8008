r"""Estimate how many ticks after its state was measured a command acts, from ordinary operation.

A command u_k computed from the state stamped t_k acts from t_k + d dt on, d = i + a. To first order (delay.py)

    y_k = qd_k+1 - qd_k = B u(d)_k + A [q_k; qd_k] + c + e_k,      u(d)_k = (1 - a) u_k-i + a u_k-i-1

with unknown B, A, c and R. Measured velocities carry noise: v_k in qd_k enters y_k as v_k+1 - v_k, which a controller
that feeds qd_k back correlates with its commands, and a least-squares d comes out too long. With measurement and
process noise together e_k is a moving average, e_k = w_k+1 - g w_k with white w and 0 <= g <= 1. With every signal
whitened for it (whitening.py) the profile likelihood of d and g is

    log L(d, g) = -M/2 log det R(d, g),  R = S_yy - S_yu(d) S_u(d)u(d)^-1 S_u(d)y      (all given [q; qd; 1])

with S the second moments of the whitened (u_k .. u_k-L, q, qd, 1, y), kept with exponential forgetting for each g of
COLORS: cross-correlation of commands and accelerations, with coupling between joints, gravity and feedback accounted
for. M is the number of rows less the 3 n + 1 coefficients of a joint. Whatever lies between command and acceleration
counts: transport, computation, and an actuator's lag as about its time constant. With a flat prior on [0, L] the
likelihood at the best g is the posterior of d; its mean and spread are the answer. M counts half, since no model is
exact.

Where states are lost the last command held, and their ticks make one row with that after them: velocities change by the
sum of what each tick did, and the whitening knows how many they were. Where a tick is shorter than settings.period
every row is the sum of `stride` ticks, so that lags reach as far in time at every rate.

An arm that rests tells of the delay little that is right: dry friction holds it, its speed follows the effort, and a
differentiated signal leads, so that d comes out too short. A row weighs

    w = clip(max_j qd_j^2 / (E_j + REST_LEVEL R0_jj), LEAST_WEIGHT, 1)

once twice settings.fewest rows are there, and forgets g^w: an arm at rest keeps what it learned of the delay in motion.
E_j is the mean square speed so far, weighted by w, and R0 the variance of y given the state alone.

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
from .whitening import COLORS, WhiteningFilter

RESOLUTION = 0.05  # [ticks] resolution of the estimate
TINY = 1e-12  # [(rad/s)^2 or (m/s)^2]
BLOCK_ROWS = 16
LONGEST_BRIDGED = 5  # rows that may lie between two states whose change still counts
_ONE = np.ones(1)
LEAST_WEIGHT = 0.02  # of a row in which the robot rests
REST_LEVEL = 30.0  # times the noise: a mean square speed below this is rest


@dataclasses.dataclass(frozen=True, slots=True)
class DelayEstimate:
    """Delay [ticks] with its standard deviation; `confidence`: the probability of +- a quarter row around it.

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


# correlations given [q; qd; 1]: of the commands (lags, lags, n, n), with y (lags, n, n), of y (n, n), and the standard
# deviations of y (n,)
Conditional: TypeAlias = tuple[Array, Array, Array, Array]


class DelayEstimator:
    """Keeps the moments of n joints' motion in periods of dt [s].

    Call `update` once per tick, and `estimate` or, in steps, `estimating` now and then. stride: ticks of one row, more
    than one where they are shorter than `settings.period`.
    """

    def __init__(self, n: int, dt: float, settings: DelaySettings | None = None):
        self.settings = settings or DelaySettings()
        self.n, self.dt, self.lags = n, dt, self.settings.longest + 1
        self.stride = max(1, math.ceil(self.settings.period / dt - 0.1))
        period = self.stride * dt
        self._forgetting = np.exp(-period / max(self.settings.memory, 2.0 * self.settings.fewest * period))
        self._size = n * self.lags + n + 2 * n + 1  # commands by lag, y, [q; qd; 1]
        self._coefficients = 3 * n + 1  # of every joint's change at a delay
        self._zeros = np.zeros(self._size)
        self._starts = np.arange(self.lags) * self.stride
        self._moments = np.zeros((len(COLORS), self._size, self._size))
        self._rows = WhiteningFilter(self._size)
        self._block = np.empty((BLOCK_ROWS, self._size))  # newest rows, not yet in the moments
        self._weights = np.zeros(BLOCK_ROWS)
        self._energy, self._seen = np.zeros(n), 0.0  # mean square speeds, and the sum of their rows' weights
        self._noise = np.full(n, TINY)  # variance of y given the state, at the last estimate
        self._filled, self._count = 0, 0.0
        self.reset()

    def reset(self) -> None:
        """Forget all data."""
        self._moments[:], self._weights[:], self._energy[:], self._noise[:] = 0.0, 0.0, 0.0, TINY
        self._rows.restart()
        self._filled, self._count, self._seen = 0, 0.0, 0.0
        self._commands: list[CommandVector] = []  # tick by tick, the newest first
        self._commanded = -math.inf  # stamp of the newest one
        self._previous: tuple[float, JointVector, JointVector] | None = None  # the state that the next row begins with

    def interrupt(self) -> None:
        """Take note that what acted since the last update is not known."""
        self._commands, self._commanded, self._previous = [], -math.inf, None
        self._fold()
        self._rows.restart()

    def update(self, stamp: float, q: Array, qd: Array, command: Array) -> None:
        """Add the state q (n,), qd (n,) measured at `stamp` [s] and the command (n,) applied for it.

        While no update came, or one with a state that is not finite, the last command held.
        """
        passed = (stamp - self._commanded) / self.dt
        ticks = round(passed) if 0.0 < passed <= LONGEST_BRIDGED * self.stride + 0.5 else 0
        if not ticks or abs(passed - ticks) > 0.2:
            if self._commands:
                self.interrupt()
        elif ticks > 1:
            self._commands = [*[self._commands[0]] * (ticks - 1), *self._commands]
        if math.isfinite(q @ self._zeros[: self.n] + qd @ self._zeros[: self.n]):
            self._add_row(stamp, q, qd)
        self._commanded = stamp
        self._commands = [np.array(command), *self._commands[: (self.lags + LONGEST_BRIDGED) * self.stride]]

    def _add_row(self, stamp: float, q: Array, qd: Array) -> None:
        """Add what happened since the row before, if that is known and a row's ticks have passed."""
        if self._previous is None:
            self._previous = (stamp, np.array(q), np.array(qd))
            return
        before, ticks = self._previous, round((stamp - self._previous[0]) / self.dt)
        if ticks < self.stride:
            return
        if ticks > LONGEST_BRIDGED * self.stride:  # too many states that are not finite
            self.interrupt()
        elif len(self._commands) >= (self.lags - 1) * self.stride + ticks:
            z = self._block[self._filled]
            if ticks == 1:
                np.concatenate([*self._commands[: self.lags], qd - before[2], before[1], before[2], _ONE], out=z)
            else:
                self._sum_row(z, ticks, before, q, qd)
            if math.isfinite(z @ self._zeros):  # 0 unless an entry is not finite
                self._weights[self._filled] = self._weight(qd)
                self._filled += 1
                if self._filled == BLOCK_ROWS:
                    self._fold()
            else:
                self.interrupt()
        self._previous = (stamp, np.array(q), np.array(qd))

    def _weight(self, qd: Array) -> float:
        """Return the weight of a row that ends with the velocities qd (n,), and keep their squares."""
        square = qd * qd
        if not self._seen:
            self._energy[:] = square
        level = float(np.maximum.reduce(square / (self._energy + REST_LEVEL * self._noise)))
        weight = 1.0 if self._seen < 2.0 * self.settings.fewest else min(1.0, max(LEAST_WEIGHT, level))
        self._seen += weight
        self._energy += max(weight * (1.0 - self._forgetting), min(1.0, weight / self._seen)) * (square - self._energy)
        return weight

    def _sum_row(
        self, z: Array, ticks: int, before: tuple[float, JointVector, JointVector], q: Array, qd: Array
    ) -> None:
        """Write the row of `ticks` ticks: the sum of theirs over the stride, with states interpolated in between."""
        n, first = self.n, self.n * self.lags
        share, along = ticks / self.stride, 0.5 * (ticks - 1) / ticks
        sums = np.cumsum([np.zeros(n), *self._commands[: self._starts[-1] + ticks]], axis=0)
        z[:first] = ((sums[self._starts + ticks] - sums[self._starts]) / self.stride).ravel()
        z[first : first + n] = qd - before[2]
        z[first + n : first + 2 * n] = share * (before[1] + along * (q - before[1]))
        z[first + 2 * n : -1] = share * (before[2] + along * (qd - before[2]))
        z[-1] = share

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
        if self._count < max(self.settings.fewest, 2 * self._coefficients):
            return None
        return (yield from self._estimated(self._count))

    def _estimated(self, count: float) -> Generator[None, None, DelayEstimate | None]:
        """Estimate in steps from the moments as they are now, of `count` rows."""
        moments = self._moments / count
        best: tuple[Array, Conditional] | None = None
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
        first, last = max(0.0, rough - 0.5), min(self.lags - 1.0, rough + 0.5)
        fine = np.round(np.arange(first, last + 0.5 * RESOLUTION, RESOLUTION), 6)
        new = fine[(fine[:, None] != coarse).all(axis=1)]
        grid = np.concatenate([coarse, new])
        values, order = np.concatenate([values, self._log_determinants(new, *conditional)]), np.argsort(grid)
        _, _, y, scale = conditional
        self._noise[:] = scale**2
        without_commands = np.linalg.slogdet(y)[1] + 2.0 * np.log(scale).sum()
        return self._posterior(grid[order], values[order], count, without_commands)

    def _posterior(self, grid: Array, values: Array, count: float, without_commands: float) -> DelayEstimate:
        """Return the estimate from log det R (D,) at the delays `grid` (D,) and that without any command."""
        left = count - self._coefficients
        unexplained = np.exp((values.min() - without_commands) / self.n)
        explained = float(1.0 - (left + self.n) / left * unexplained)
        log_likelihood = -0.25 * left * values
        # each grid point stands for the stretch half way to its neighbors
        spans = np.concatenate((grid[1:2] - grid[:1], 0.5 * (grid[2:] - grid[:-2]), grid[-1:] - grid[-2:-1]))
        weight = spans * np.exp(log_likelihood - log_likelihood.max())
        weight /= weight.sum()
        mean = float(weight @ grid)
        std = float(np.sqrt(max(weight @ (grid - mean) ** 2, (RESOLUTION / 2.0) ** 2)))
        inside = float(weight[np.abs(grid - mean) <= 0.25 + 1e-9].sum())
        return self._of(mean, std, inside, explained)

    def _of(self, mean: float, std: float, inside: float, explained: float) -> DelayEstimate:
        """Return the estimate with mean and standard deviation in rows."""
        usable = (
            inside >= self.settings.confidence
            and explained >= self.settings.explained
            and mean < self.settings.longest - 0.25
        )
        return DelayEstimate(self.stride * mean, self.stride * std, inside, explained, usable)

    def _fold(self) -> None:
        """Move the newest rows into the moments: one matrix product instead of many outer ones."""
        if not self._filled:
            return
        rows, weights = self._block[: self._filled], self._weights[: self._filled]
        weight = float(weights.sum())
        decay = self._forgetting**weight
        self._moments *= decay
        for k, filtered in enumerate(self._rows.filtered(rows)):
            self._moments[k] += filtered.T @ (weights[:, None] * filtered)
        self._count = decay * self._count + weight
        self._filled = 0

    def _given_state(self, S: Array) -> Conditional | None:
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
        return commands, C[:first, first:].reshape(self.lags, n, n), C[first:, first:], scale[-n:]

    def _log_determinants(self, delays: Array, commands: Array, with_y: Array, y: Array, scale: Array) -> Array:
        """Return log det R(d) (D,) at the delays d (D,); the other arguments as in Conditional."""
        whole = np.minimum(delays.astype(int), self.lags - 2)
        a = (delays - whole)[:, None, None]
        i, j = whole, whole + 1
        cross = commands[i, j]
        A = (1.0 - a) ** 2 * commands[i, i] + a * (1.0 - a) * (cross + cross.transpose(0, 2, 1)) + a**2 * commands[j, j]
        B = (1.0 - a) * with_y[i] + a * with_y[j]
        ridge = 1e-6 * np.eye(self.n)
        R = y + ridge - B.transpose(0, 2, 1) @ np.linalg.solve(A + ridge, B)
        values: Array = np.linalg.slogdet(R)[1] + 2.0 * np.log(scale).sum()
        return values
