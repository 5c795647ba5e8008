"""How many ticks after its state was measured does a command act? Estimated from ordinary operation.

A command u_k computed from the state stamped t_k acts from t_k + d dt on, d = i + a. To first order (delay.py)

    y_k = qd_k+1 - qd_k = B u(d)_k + A [q_k; qd_k] + c + e_k,      u(d)_k = (1 - a) u_k-i + a u_k-i-1

with unknown B, A, c and R. Measured velocities carry noise: v_k in qd_k enters y_k as v_k+1 - v_k, which a controller
that feeds qd_k back correlates with its commands, and a least-squares d comes out too long. With measurement and
process noise together e_k is a moving average, e_k = w_k+1 - g w_k with white w and 0 <= g <= 1 (the innovations form;
Ljung 1999, sec. 4.2). Filtering every signal by 1 / (1 - g z^-1) whitens it, and the profile likelihood of d and g is

    log L(d, g) = -N/2 log det R(d, g),  R = S_yy - S_yu(d) S_u(d)u(d)^-1 S_u(d)y      (all given [q; qd; 1])

with S the second moments of the filtered (u_k .. u_k-L, q, qd, 1, y), kept with exponential forgetting for each g of COLOURS:
cross-correlation of commands and accelerations, with coupling between joints, gravity and feedback accounted for.
Whatever lies between command and acceleration counts: transport, computation, and an actuator's lag as about its time
constant. With a flat prior on [0, L] the likelihood at the best g is the posterior of d; its mean and spread are the answer.
N counts half, since no model is exact.

Forgetting lets the estimate follow a delay that changes. Without excitation R(d) is the same for every d, the posterior is
flat and the estimate is not confident; where commands explain little (stops, contacts, a safe command that only damps) the
model is not the robot's, and the estimate is not used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator

import numpy as np
from scipy.signal import lfilter

from ..config.sections.dynamics import DelaySettings
from ..types import Array

FINE = 0.05  # [ticks] resolution of the estimate
BLOCK = 16  # [ticks]
COLOURS = (0.0, 0.6, 0.9)  # g: process noise alone, ... , nearly only measurement noise


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


class DelayEstimator:
    """update(...) once per tick (some microseconds), estimate() now and then (half a millisecond), or `estimating()` in steps
    of a quarter of that.
    """

    def __init__(self, n: int, dt: float, settings: DelaySettings | None = None):
        self.settings = settings or DelaySettings()
        self.n, self.dt, self.lags = n, dt, self.settings.longest + 1
        self._forgetting = np.exp(-dt / max(self.settings.memory, 2.0 * self.settings.fewest * dt))
        self._size = n * self.lags + n + 2 * n + 1  # commands by lag, y, [q; qd; 1]
        self.reset()

    def reset(self) -> None:
        self._moments = np.zeros((len(COLOURS), self._size, self._size))
        self._block = np.ones((BLOCK, self._size))  # newest rows, not yet in the moments
        self._zeros = np.zeros(self._size)
        self._filled = 0
        self._filters = np.zeros((len(COLOURS), 1, self._size))
        self._count = 0.0
        self._commands: list[Array] = []
        self._previous: tuple[float, Array, Array] | None = None

    def update(self, stamp: float, q: Array, qd: Array, command: Array) -> None:
        """The state (n,), (n,) measured at `stamp` [s] and the command (n,) published for it."""
        if self._previous is not None and abs(stamp - self._previous[0] - self.dt) > 0.2 * self.dt:
            self._commands = []  # a gap: which commands acted in it is unknown
            self._fold()
            self._filters[:] = 0.0
        elif self._previous is not None and len(self._commands) == self.lags:
            z = self._block[self._filled]
            np.concatenate([*self._commands, qd - self._previous[2], self._previous[1], self._previous[2]], out=z[:-1])
            self._filled += math.isfinite(z @ self._zeros)  # 0 unless an entry is not finite
            if self._filled == BLOCK:
                self._fold()
        self._previous = (stamp, np.array(q), np.array(qd))
        self._commands = [np.array(command), *self._commands[: self.lags - 1]]

    def estimate(self) -> DelayEstimate | None:
        """The delay, or None while there is too little data."""
        steps = self.estimating()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def estimating(self) -> Generator[None, None, DelayEstimate | None]:
        """The same in steps short enough for a control thread; the generator's return value is the estimate."""
        self._fold()
        if self._count < self.settings.fewest:
            return None
        count, moments, best = self._count, self._moments / self._count, None
        coarse = np.arange(0.0, self.lags - 0.75, 0.5)
        for of_colour in moments:
            conditional = self._given_state(of_colour)
            if conditional is None:
                return None
            values = self._log_determinants(coarse, *conditional)
            if best is None or values.min() < best[0].min():
                best = values, conditional
            yield
        values, conditional = best
        rough = coarse[np.argmin(values)]
        fine = np.round(np.arange(max(0.0, rough - 0.5), min(self.lags - 1.0, rough + 0.5) + 0.5 * FINE, FINE), 6)
        new = np.setdiff1d(fine, coarse)
        grid = np.concatenate([coarse, new])
        values = np.concatenate([values, self._log_determinants(new, *conditional)])
        order = np.argsort(grid)
        return self._posterior(grid[order], values[order], count, np.linalg.slogdet(conditional[2])[1] + conditional[3])

    def _posterior(self, grid: Array, values: Array, count: float, without_commands: float) -> DelayEstimate:
        """From log det R (D,) at the delays `grid` (D,) and that without any command."""
        explained = float(1.0 - np.exp((values.min() - without_commands) / self.n))
        log_likelihood = -0.25 * count * values
        # each grid point stands for the stretch half way to its neighbours
        weight = np.gradient(grid) * np.exp(log_likelihood - log_likelihood.max())
        weight /= weight.sum()
        mean = float(weight @ grid)
        std = float(np.sqrt(max(weight @ (grid - mean) ** 2, (FINE / 2.0) ** 2)))
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
        for k, g in enumerate(COLOURS if len(rows) else ()):
            filtered, self._filters[k] = lfilter([1.0], [1.0, -g], rows, axis=0, zi=self._filters[k])
            self._moments[k] += filtered.T @ filtered
        self._count = decay * self._count + self._filled
        self._filled = 0

    def _given_state(self, S: Array) -> tuple[Array, Array, Array, float] | None:
        """Correlations of commands (lags, lags, n, n), with y (lags, n, n), of y (n, n), given [q; qd; 1], and the log
        determinant of y's scale.
        """
        n, first = self.n, self.n * self.lags
        others, state = slice(0, first + n), slice(first + n, self._size)
        inner = S[state, state]
        inner = inner + 1e-10 * np.diag(np.maximum(np.diag(inner), 1e-12))
        C = S[others, others] - S[others, state] @ np.linalg.solve(inner, S[state, others])
        scale = np.sqrt(np.maximum(np.diag(C), 0.0))
        floor = 1e-9 * np.sqrt(np.maximum(np.diag(S)[others], 0.0)) + 1e-15
        if (scale[-n:] <= floor[-n:]).all() or (scale[:first] <= floor[:first]).all():
            return None  # nothing moves, or nothing commands
        scale = np.where(scale > floor, scale, 1.0)
        C = C / scale[:, None] / scale
        commands = C[:first, :first].reshape(self.lags, n, self.lags, n).transpose(0, 2, 1, 3)
        return commands, C[:first, first:].reshape(self.lags, n, n), C[first:, first:], 2.0 * np.log(scale[-n:]).sum()

    def _log_determinants(self, delays: Array, commands: Array, with_y: Array, y: Array, scale: float) -> Array:
        """Log det R(d) (D,)."""
        whole = np.minimum(delays.astype(int), self.lags - 2)
        a = (delays - whole)[:, None, None]
        i, j = whole, whole + 1
        cross = commands[i, j]
        A = (1.0 - a) ** 2 * commands[i, i] + a * (1.0 - a) * (cross + cross.transpose(0, 2, 1)) + a**2 * commands[j, j]
        B = (1.0 - a) * with_y[i] + a * with_y[j]
        ridge = 1e-6 * np.eye(self.n)
        R = y + ridge - B.transpose(0, 2, 1) @ np.linalg.solve(A + ridge, B)
        return np.linalg.slogdet(R)[1] + scale


def complaint(estimate: DelayEstimate | None, configured: float, tolerance: float) -> str:
    """What is wrong with the configured delay [ticks], in words ('' if nothing is, or nothing is known)."""
    if estimate is None or not estimate.usable or abs(estimate.ticks - configured) <= tolerance:
        return ""
    return (
        f"control.delay is {configured:g} ticks, but commands act {estimate.ticks:.2f} +- {estimate.std:.2f} ticks after "
        f"the state they were computed from: set control.delay: {estimate.ticks:.2f}"
    )


class DelayMonitor:
    """Watches the delay while the robot moves: what to compensate, how sure it is, and what to say of the configuration.

    `in_use` [ticks] starts as configured; `estimate` is the newest one; `message` says what is wrong ('' if nothing is).
    `std` [s] is the standard deviation of the time at which a command acts about the one compensated: settings.uncertainty
    until an estimate speaks, then hypot(std of the estimate, its mean - in_use), never above the former nor below
    settings.least_uncertainty, and after one estimate not below SLOW times what it was. An estimate that is not `usable` yet tells that much (under dry friction none ever is).
    """

    SLOW = 0.7  # what is left of `std` at least after one estimate: a first one from little data may be sure and wrong
    SPEAKING = 0.1  # explained share, and standard deviation below one tick, from which on an estimate changes `std`
    DISTINCT, LONGER = (
        3.0,
        1.0,
    )  # standard deviations, and ticks, above the delay in use, twice in a row, at which an estimate
    # is acted on before it is usable: it need not be exact to be nearer, and a loop that oscillates leaves no time to wait
    CAREFUL = 0.7  # ... this share of the way until it is usable, and never further than
    # the first uncertainty at once: the first estimates, from little data or under an actuator's lag, come out too long
    AGREEING = 3  # usable estimates in a row within the tolerance of each other before they are acted on ...
    SURE = 0.999  # ... or one with this confidence: a loop with the wrong delay can diverge in half a second

    def __init__(self, n: int, dt: float, configured: float, settings: DelaySettings | None = None):
        self.settings, self.configured, self._dt = settings or DelaySettings(), configured, dt
        self._estimator = DelayEstimator(n, dt, self.settings)
        self._every = max(1, round(self.settings.interval / dt))
        self.reset()

    def reset(self) -> None:
        """Forget the data; what was found out about the delay stays unknown until it is found again."""
        self._estimator.reset()
        self.in_use, self.estimate, self.message = self.configured, None, ""
        self._ticks, self._recent, self._running = 0, [], None
        self._distinct: DelayEstimate | None = None  # the last estimate, if it was far above the delay in use
        self.std = self.settings.uncertainty

    def _judge_time(self, estimate: DelayEstimate | None) -> None:
        if estimate is not None and estimate.explained > self.SPEAKING and estimate.std < 1.0:
            std = self._dt * float(np.hypot(estimate.std, estimate.ticks - self.in_use))
            self.std = min(max(std, self.settings.least_uncertainty, self.SLOW * self.std), self.settings.uncertainty)

    def update(self, stamp: float, q: Array, qd: Array, command: Array) -> float | None:
        """One tick, as for DelayEstimator.update; the new delay [ticks] when it is time to change, else None."""
        self._estimator.update(stamp, q, qd, command)
        self._ticks += 1
        if self._running is None:
            if self._ticks % (self._every if self.std < 0.5 * self._dt else max(1, self._every // 2)):
                return None
            self._running = self._estimator.estimating()
        try:
            next(self._running)
            return None
        except StopIteration as end:
            self._running, self.estimate = None, end.value
        self._judge_time(self.estimate)
        early = self._early(self.estimate)
        if early is not None:
            return self._change(early)
        if self.estimate is None or not self.estimate.usable:
            self._recent = []
            return None
        self.message = complaint(self.estimate, self.configured, self.settings.tolerance)
        self._recent = [*self._recent[1 - self.AGREEING :], self.estimate.ticks]
        agree = len(self._recent) == self.AGREEING and np.ptp(self._recent) <= self.settings.tolerance
        sure = self.estimate.confidence >= self.SURE
        new = self.estimate.ticks if sure else float(np.mean(self._recent))
        if not ((sure or agree) and self.settings.adapt and abs(new - self.in_use) > self.settings.tolerance):
            return None
        return self._change(new)

    def _early(self, estimate: DelayEstimate | None) -> float | None:
        """Towards the mean of this estimate and the last, if both are far above the delay in use and near each other."""
        last, self._distinct = self._distinct, None
        if (
            estimate is None
            or estimate.explained < self.settings.explained
            or not self.settings.adapt
            or estimate.ticks >= self.settings.longest - 0.25
            or estimate.ticks - self.in_use <= max(self.DISTINCT * estimate.std, self.LONGER)
        ):
            return None
        if last is None or abs(estimate.ticks - last.ticks) > max(self.settings.tolerance, estimate.std + last.std):
            self._distinct = estimate
            return None
        weights = estimate.std**-2, last.std**-2
        mean = (weights[0] * estimate.ticks + weights[1] * last.ticks) / sum(weights)
        way = (1.0 if estimate.usable else self.CAREFUL) * (mean - self.in_use)
        return float(self.in_use + min(way, self.settings.uncertainty / self._dt))

    def _change(self, new: float) -> float:
        self.in_use, self._recent = new, []
        self._judge_time(self.estimate)
        return new
