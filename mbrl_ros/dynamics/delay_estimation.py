"""How many ticks after its state was measured does a command act? Estimated from ordinary operation.

A command u_k computed from the state stamped t_k acts from t_k + d dt on, d = i + a. To first order (delay.py)

    y_k = qd_k+1 - qd_k = B u(d)_k + A [q_k; qd_k] + c + e_k,      u(d)_k = (1 - a) u_k-i + a u_k-i-1

with unknown B, A, c and e_k ~ N(0, R). Maximising over those leaves the profile likelihood of d alone,

    log L(d) = -N/2 log det R(d),    R(d) = S_yy - S_yu(d) S_u(d)u(d)^-1 S_u(d)y                 (all given [q; qd; 1])

where S are the second moments of (u_k .. u_k-L, q, qd, 1, y), kept with exponential forgetting: cross-correlation of
commands and accelerations, with coupling between joints, gravity and feedback through the state accounted for (Ljung 1999, sec. 10.3;
Bjorklund and Ljung 2003 compare such methods). Whatever lies between command and acceleration counts: transport,
computation, and an actuator's lag as about its time constant. With a flat prior on [0, L] the likelihood is the
posterior of d; its mean and spread are the answer. Noise of the measured velocities is not white in y, so N counts half.

Forgetting lets the estimate follow a delay that changes. Without excitation R(d) is the same for every d, the posterior is
flat and the estimate is not confident.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..settings import Section, setting
from ..types import Array

FINE = 0.05  # [ticks] resolution of the estimate
BLOCK = 16  # [ticks]


@dataclasses.dataclass(frozen=True)
class DelaySettings(Section):
    """Estimation of the total delay."""

    longest: int = setting(8, "longest delay considered", unit="ticks", low=1, high=30)
    memory: float = setting(2.0, "time constant of forgetting", unit="s", low=0.1, high=60.0)
    fewest: int = setting(100, "ticks behind an estimate, at least; also the shortest memory", unit="ticks", low=20)
    confidence: float = setting(0.95, "posterior probability within a quarter tick above which an estimate counts",
                                low=0.5, high=0.9999)
    tolerance: float = setting(0.5, "difference to the configured delay that is reported", unit="ticks", low=0.1)


@dataclasses.dataclass(frozen=True, slots=True)
class DelayEstimate:
    """Delay [ticks] with its standard deviation; `confidence`: the probability of +- a quarter tick around it.

    `usable`: the confidence suffices and the delay is not at the end of the range considered.
    """

    ticks: float
    std: float
    confidence: float
    usable: bool

    @property
    def whole(self) -> int:
        """The nearest integer delay."""
        return round(self.ticks)


class DelayEstimator:
    """update(...) once per tick (some microseconds), estimate() now and then (half a millisecond)."""

    def __init__(self, n: int, dt: float, settings: DelaySettings | None = None):
        self.settings = settings or DelaySettings()
        self.n, self.dt, self.lags = n, dt, self.settings.longest + 1
        self._forgetting = np.exp(-dt / max(self.settings.memory, self.settings.fewest * dt))
        self._size = n * self.lags + 2 * n + 1 + n  # commands by lag, [q; qd; 1], y
        self.reset()

    def reset(self) -> None:
        self._moments = np.zeros((self._size, self._size))
        self._block = np.ones((BLOCK, self._size))  # newest rows, not yet in the moments
        self._filled = 0
        self._count = 0.0
        self._commands: list[Array] = []
        self._previous: tuple[float, Array, Array] | None = None

    def update(self, stamp: float, q: Array, qd: Array, command: Array) -> None:
        """The state (n,), (n,) measured at `stamp` [s] and the command (n,) published for it."""
        n, first = self.n, self.n * self.lags
        if self._previous is not None and abs(stamp - self._previous[0] - self.dt) > 0.2 * self.dt:
            self._commands = []  # a gap: which commands acted in it is unknown
        elif self._previous is not None and len(self._commands) == self.lags:
            z = self._block[self._filled]
            for lag, past in enumerate(self._commands):
                z[lag * n: (lag + 1) * n] = past
            z[first: first + n], z[first + n: first + 2 * n] = self._previous[1], self._previous[2]
            z[-n:] = qd - self._previous[2]
            self._filled += bool(np.isfinite(z).all())
            if self._filled == BLOCK:
                self._fold()
        self._previous = (stamp, np.array(q), np.array(qd))
        self._commands = [np.array(command), *self._commands[: self.lags - 1]]

    def estimate(self) -> DelayEstimate | None:
        """The delay, or None while there is too little data."""
        self._fold()
        if self._count < 0.5 * self.settings.fewest:
            return None
        conditional = self._given_state()
        if conditional is None:
            return None
        coarse = np.arange(self.lags, dtype=np.float64)
        best = coarse[np.argmin(self._log_determinants(coarse, *conditional))]
        fine = np.arange(max(0.0, best - 1.0), min(self.lags - 1.0, best + 1.0) + 0.5 * FINE, FINE)
        grid = np.union1d(coarse, np.round(fine, 6))
        log_likelihood = -0.25 * self._count * self._log_determinants(grid, *conditional)
        # each grid point stands for the stretch half way to its neighbours
        weight = np.gradient(grid) * np.exp(log_likelihood - log_likelihood.max())
        weight /= weight.sum()
        mean = float(weight @ grid)
        std = float(np.sqrt(max(weight @ (grid - mean) ** 2, (FINE / 2.0) ** 2)))
        inside = float(weight[np.abs(grid - mean) <= 0.25 + 1e-9].sum())
        usable = inside >= self.settings.confidence and mean < self.settings.longest - 0.25
        return DelayEstimate(mean, std, inside, usable)

    def _fold(self) -> None:
        """Move the newest rows into the moments: one matrix product instead of many outer ones."""
        decay = self._forgetting**self._filled
        rows = self._block[: self._filled]
        self._moments = decay * self._moments + rows.T @ rows
        self._count = decay * self._count + self._filled
        self._filled = 0

    def _given_state(self) -> tuple[Array, Array, Array] | None:
        """Second moments of commands (lags, lags, n, n), with y (lags, n, n), of y (n, n), given [q; qd; 1]."""
        n, first = self.n, self.n * self.lags
        S = self._moments / self._count
        state = slice(first, first + 2 * n + 1)
        others = np.r_[0:first, first + 2 * n + 1: self._size]
        inner = S[state, state]
        inner = inner + 1e-10 * np.diag(np.maximum(np.diag(inner), 1e-12))
        C = S[np.ix_(others, others)] - S[others][:, state] @ np.linalg.solve(inner, S[state][:, others])
        scale = np.sqrt(np.maximum(np.diag(C), 0.0))
        floor = 1e-9 * np.sqrt(np.maximum(np.diag(S)[others], 0.0)) + 1e-15
        if (scale[-n:] <= floor[-n:]).all() or (scale[:first] <= floor[:first]).all():
            return None  # nothing moves, or nothing commands
        scale = np.where(scale > floor, scale, 1.0)
        C = C / scale[:, None] / scale
        commands = C[:first, :first].reshape(self.lags, n, self.lags, n).transpose(0, 2, 1, 3)
        return commands, C[:first, first:].reshape(self.lags, n, n), C[first:, first:]

    def _log_determinants(self, delays: Array, commands: Array, with_y: Array, y: Array) -> Array:
        """log det R(d) (D,) of the correlation-scaled moments."""
        whole = np.minimum(delays.astype(int), self.lags - 2)
        a = (delays - whole)[:, None, None]
        i, j = whole, whole + 1
        cross = commands[i, j]
        A = (1.0 - a) ** 2 * commands[i, i] + a * (1.0 - a) * (cross + cross.transpose(0, 2, 1)) + a**2 * commands[j, j]
        B = (1.0 - a) * with_y[i] + a * with_y[j]
        ridge = 1e-6 * np.eye(self.n)
        R = y + ridge - B.transpose(0, 2, 1) @ np.linalg.solve(A + ridge, B)
        return np.linalg.slogdet(R)[1]


def complaint(estimate: DelayEstimate | None, configured: float, tolerance: float) -> str:
    """What is wrong with the configured delay [ticks], in words ('' if nothing is, or nothing is known)."""
    if estimate is None or not estimate.usable or abs(estimate.ticks - configured) <= tolerance:
        return ""
    return (f"control.delay is {configured:g} ticks, but commands act {estimate.ticks:.2f} +- {estimate.std:.2f} ticks after "
            f"the state they were computed from: set control.delay: {estimate.ticks:.2f}")
