r"""Where a recording changes, such as by a payload, and how many ticks learning takes to predict as well as before.

A change moves the mean of the one-step errors e (n,) until it is learned. With the means over w = MEAN_TICKS ticks
before and after tick k and P the covariance of all errors, Hotelling's two-sample statistic

    T2_k = w/2 (e_after - e_before)^T P^-1 (e_after - e_before)

is chi-squared with n degrees of freedom where nothing changes and errors are independent and normal. Its largest maxima
beyond the bound that one of N ticks exceeds with probability FALSE_ALARM are the candidates. A jerk or a spike of the
logged effort is such a maximum too, but the model before it is right again after it. Therefore each candidate is
ranked by what its model of before would do without learning:

    without_learning = rms of its one-step errors in the HELD_TICKS from k on / rms of those of the learning model

It is about 1 after a disturbance that passes, and large after a change that lasts; the errors must have become larger
as well, or it was the model of before that an outlier had spoiled. A start of a motion after a rest lasts too: what was
learned at rest does not hold for it. Hence several changes are given, largest first.

As good as before is relative to the errors before the change, whatever covariance the model claims afterwards. With
r the square of the errors, each joint's over its mean square in the last TICKS_BEFORE the change (at least LEAST_USUAL
times that of the whole recording, for a joint that stood still), averaged over joints, the prediction is as good as
before from the first tick on from which the mean of r over RETURN_TICKS is no larger than 95 % of such means were
before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from ..data import Recording
from ..dynamics import OnlineDynamics
from ..exceptions import DataError
from ..types import Array
from .scores import Trace

MEAN_TICKS = 10
FALSE_ALARM = 1e-3
MOST_CANDIDATES = 20
TICKS_APART = 50  # two candidates
HELD_TICKS = 50
LEAST_HELD, LEAST_RISE = 1.5, 1.25  # times without learning, and times the error before, from which on it is a change
MOST_CHANGES = 3
TICKS_BEFORE, RETURN_TICKS = 200, 20
LEAST_USUAL = 0.01
FEWEST_BEFORE_CHANGE = 2 * RETURN_TICKS
SMALLEST_SCALE = 1e-300  # where a joint never moves


@dataclass(frozen=True, slots=True)
class Change:
    """A change of what is to be predicted.

    Attributes
    ----------
    stamp : [s] of the first tick after it
    found : found in the errors; False: given by the user
    rms_ratio : root mean square of the error over RETURN_TICKS ticks from the change on, over that before
    without_learning : how many times larger the errors of the model of before are than those of the learning model
    ticks : from the change on until the prediction is as good as before; None: not again in the recording
    seconds : the same as a time
    """

    stamp: float
    found: bool
    rms_ratio: float
    without_learning: float
    ticks: int | None
    seconds: float | None

    def line(self) -> str:
        """Describe the change for the user."""
        after = "not as good as before again" if self.ticks is None else f"as good as before after {self.ticks} ticks"
        time = "" if self.seconds is None else f" ({1e3 * self.seconds:.0f} ms)"
        return (
            f"  {self.stamp:8.2f} s ({'found' if self.found else 'given'}): error {self.rms_ratio:.1f} times that "
            f"before; without learning from there on {self.without_learning:.1f} times that with it; {after}{time}"
        )


def changes(
    recording: Recording, dynamics: OnlineDynamics, trace: Trace, at: float | None = None, warm_up: float = 0.0
) -> list[Change]:
    """Return the largest changes in `recording`, largest first; with `at` [s], the one there alone.

    Parameters
    ----------
    dynamics
        Learns the recording again; it is reset first.
    trace
        What it predicted of the recording.
    warm_up
        No change is looked for before [s].

    Raises
    ------
    DataError : `at` is outside the recording, or too few ticks come before or after it
    """
    last = len(trace.stamps) - HELD_TICKS
    if at is not None:
        k = int(np.searchsorted(trace.stamps, at - 0.5 * recording.period))
        if not FEWEST_BEFORE_CHANGE <= k <= last:
            raise DataError(
                f"a change at {at:g} s: at least {FEWEST_BEFORE_CHANGE} ticks must come before it and {HELD_TICKS} "
                f"after it; the recording is predicted from {trace.stamps[0]:.2f} s to {trace.stamps[-1]:.2f} s"
            )
        return [_change(trace, k, without_learning(recording, dynamics, trace, [k])[k], found=False)]
    begin = max(FEWEST_BEFORE_CHANGE, int(np.searchsorted(trace.stamps, warm_up)))
    candidates = _maxima(strength(trace, recording.period), begin, last)
    ratios = without_learning(recording, dynamics, trace, candidates)
    all_found = [_change(trace, k, ratios[k], found=True) for k in candidates]
    lasting = [c for c in all_found if c.without_learning > LEAST_HELD and c.rms_ratio > LEAST_RISE]
    return sorted(lasting, key=lambda change: -change.without_learning)[:MOST_CHANGES]


def strength(trace: Trace, period: float) -> Array:
    """Return T2 over its bound at every tick (N,); 0 where a gap or an end is within MEAN_TICKS ticks."""
    e = trace.error
    N, n = e.shape
    result = np.zeros(N)
    scaled = e / _scale(e)
    total = np.vstack([np.zeros(n), np.cumsum(scaled, axis=0)])
    parts = np.concatenate([[0], np.cumsum(np.diff(trace.stamps) > 1.5 * period)])
    k = np.arange(MEAN_TICKS, N - MEAN_TICKS + 1)
    k = k[parts[k + MEAN_TICKS - 1] == parts[k - MEAN_TICKS]]
    if k.size:
        shift = (total[k + MEAN_TICKS] - 2.0 * total[k] + total[k - MEAN_TICKS]) / MEAN_TICKS
        P = np.atleast_2d(np.cov(scaled.T)) + 1e-9 * np.eye(n)
        T2 = 0.5 * MEAN_TICKS * np.einsum("ki,ki->k", shift, np.linalg.solve(P, shift.T).T)
        result[k] = T2 / chi2.isf(FALSE_ALARM / N, n)
    return result


def without_learning(
    recording: Recording, dynamics: OnlineDynamics, trace: Trace, ticks: list[int]
) -> dict[int, float]:
    """Return, for each of `ticks`, the ratio of the module's docstring; `dynamics` is left at the end of a recording.

    trace : of `recording` by `dynamics`
    """
    if not ticks:
        return {}
    transitions, wanted = list(recording.transitions()), set(ticks)
    known = {}
    dynamics.reset()
    for k, transition in enumerate(transitions[: max(ticks) + 1]):
        dynamics.fit(transition.x, transition.u)
        if k in wanted:
            known[k] = dynamics.evidence()
        dynamics.update(transition)
    scale, result = _scale(trace.error), {}
    for k in ticks:
        dynamics.restore(known[k])
        errors = []
        for transition in transitions[k : k + HELD_TICKS]:
            dynamics.fit(transition.x, transition.u)
            errors.append(dynamics.predict(transition).innovation.error)
        held, learned = (float(((e / scale) ** 2).sum()) for e in (np.array(errors), trace.error[k : k + HELD_TICKS]))
        result[k] = float(np.sqrt(held / (learned + SMALLEST_SCALE)))
    return result


def _scale(error: Array) -> Array:
    """Return the root mean square of each joint's errors (n,)."""
    scale: Array = np.sqrt((error**2).mean(axis=0)) + SMALLEST_SCALE
    return scale


def _maxima(size: Array, begin: int, end: int) -> list[int]:
    """Return where `size` is largest and above 1, from `begin` to before `end`, at least TICKS_APART apart."""
    size = size.copy()
    size[:begin] = size[max(end, 0) :] = 0.0
    found: list[int] = []
    while len(found) < MOST_CANDIDATES and size.size and size.max() > 1.0:
        k = int(np.argmax(size))
        found.append(k)
        size[max(0, k - TICKS_APART) : k + TICKS_APART] = 0.0
    return found


def _change(trace: Trace, k: int, without: float, *, found: bool) -> Change:
    """Describe the change before transition k of `trace`."""
    begin = max(0, k - TICKS_BEFORE)
    square = trace.error**2
    usual = np.maximum(square[begin:k].mean(axis=0), LEAST_USUAL * square.mean(axis=0)) + SMALLEST_SCALE
    r = (square[begin:] / usual).mean(axis=1)
    before, after = r[: k - begin], r[k - begin :]
    good = np.flatnonzero(_means(after) <= np.quantile(_means(before), 0.95))
    ticks = int(good[0]) if good.size else None
    seconds = None if ticks is None else float(trace.stamps[k + ticks] - trace.stamps[k])
    return Change(float(trace.stamps[k]), found, float(np.sqrt(after[:RETURN_TICKS].mean())), without, ticks, seconds)


def _means(r: NDArray[np.float64]) -> Array:
    """Return the means of r (N,) over RETURN_TICKS ticks from each tick on, (N - RETURN_TICKS + 1,)."""
    total = np.concatenate([[0.0], np.cumsum(r)])
    means: Array = (total[RETURN_TICKS:] - total[:-RETURN_TICKS]) / RETURN_TICKS
    return means
