"""Has the delay just grown? A test on every tick, for what the estimate of delay_estimation.py comes too late for: a torque loop
with a tick or two more than it believes is lost in a tenth of a second.

From the first tick on whose NIS is out of bounds, the model as it was is kept, qd' = A x + B u + c with covariance C. The
error of a delay h, and its change from tick to tick, in which what slowly becomes wrong about A and c cancels, are

    r_h = qd' - A x - B u(h) - c,      e_h = r_h - r_h of the tick before,      u(h): in effect at delay h (delay.py)

A loop that has become too slow swings, and that shakes the commands: within a few ticks they tell the delays apart. The
quickest test for a change at a given rate of false alarms is the cumulative sum (Page, Biometrika 1954)

    g_h <- max(0, g_h + (e_d^T P e_d - e_h^T P e_h) / 2 - DRIFT),      P = (WIDENING C)^-1

against the delay d in use. It is believed when g_h is above THRESHOLD, no other delay comes near in what it leaves
unexplained, and what h leaves is no more than noise: a bump or a load is explained by no delay at all. When all sums are zero
again the kept model is dropped.

Asked about are d, d + 1 and d + 2. A larger jump shows as d + 2 first; a false alarm of two ticks is survived until the estimate
corrects it, one of five is not.
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array, LinearGaussianDynamics

LONGER = 2  # [ticks] that a delay may grow by at once
WIDENING = 4.0  # of C for a difference of two errors, each with the noise of two measurements
CAP = 60.0  # of e^T P e
GAIN = 8.0  # largest log likelihood ratio of one tick: a bump must not give the alarm
DRIFT = 1.0  # what a delay must gain per tick to gain at all
THRESHOLD = 20.0  # log likelihood ratio to the delay in use ...
MARGIN = 8.0  # ... and to the other ones
DEVIATIONS = 3.0  # of a chi-squared sum, which noise stays below


class DelayChange:
    """For delays of up to `longest` ticks. `watching`: a model is kept, and every tick has to be shown."""

    def __init__(self, longest: int):
        self.longest = longest
        self.reset()

    def reset(self) -> None:
        self._model: LinearGaussianDynamics | None = None

    @property
    def watching(self) -> bool:
        return self._model is not None

    def watch(self, model: LinearGaussianDynamics, covariance: Array, delay: float) -> None:
        """Keep `model`, whose innovations have `covariance` (n, n), with `delay` [ticks] in use."""
        self._whole = math.floor(delay)
        self._fraction = delay - self._whole
        count = min(LONGER + 1, self.longest - self._whole)
        if count < 2:
            return  # no longer delay is considered
        self._model, self._precision = model, np.linalg.inv(WIDENING * covariance)
        self._sums, self._unexplained, self._ticks = np.zeros(count), np.zeros(count), 0
        self._last: Array | None = None

    def update(self, x: Array, velocity: Array, commands: Array) -> float | None:
        """One tick from x (nx,) to `velocity` (n,), with the commands computed 0 .. longest ticks before it
        (longest+1, nu). The new delay [ticks] when the alarm is given, else None."""
        if self._model is None:
            return None
        n, nx = len(velocity), len(x)
        F, f = self._model.F[0, n: 2 * n], self._model.f[0, n: 2 * n]
        newer, older = (commands[self._whole + k: self._whole + k + len(self._sums)] for k in (0, 1))
        felt = (1.0 - self._fraction) * newer + self._fraction * older
        errors = velocity - F[:, :nx] @ x - f - felt @ F[:, nx:].T
        last, self._last = self._last, errors
        if last is None:
            return None
        e = errors - last
        nis = np.minimum(np.einsum("hi,ij,hj->h", e, self._precision, e), CAP)
        self._ticks += 1
        self._unexplained += nis
        self._sums = np.maximum(0.0, self._sums + np.minimum(0.5 * (nis[0] - nis), GAIN) - DRIFT)
        if not self._sums.any():
            self.reset()
            return None
        new = self._believed(n)
        if new is not None:
            self.reset()
        return new

    def _believed(self, n: int) -> float | None:
        best, rival = np.argsort(self._unexplained)[:2]
        dof = n * self._ticks
        noise = dof + DEVIATIONS * math.sqrt(2.0 * dof)
        sure = (self._sums[best] > THRESHOLD and self._unexplained[best] <= noise
                and self._unexplained[rival] - self._unexplained[best] > 2.0 * MARGIN)
        return float(self._whole + best + self._fraction) if sure else None
