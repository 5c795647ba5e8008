"""Watch the delay while the robot moves: which one to compensate, how well known it is, if the setting is wrong.

`std` [s] is the standard deviation of the time at which a command acts about the one compensated: settings.uncertainty
until an estimate is informative, then hypot(std of the estimate, its mean - delay in use), never above the former nor
below settings.least_uncertainty, and after one estimate not below SLOW_SHARE times what it was. An estimate that is not
`usable` yet counts for that, too (under dry friction none ever is usable).

An estimate is acted on when it is usable and agrees with those before it, or is nearly certain: a loop with the wrong
delay can diverge in half a second. One that is far above the delay in use, twice in a row, is acted on before it is
usable, in part: it need not be exact to be nearer, and a loop that oscillates leaves no time to wait. What such
estimates have led to others of their kind may correct, also downwards.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from ..config.sections.dynamics import DelaySettings
from ..types import CommandVector, JointVector
from .compiled_delay import make_delay_estimator
from .delay_estimation import DelayEstimate

SLOW_SHARE = (
    0.7  # what is left of `std` at least after one estimate: a first one from little data may be certain and wrong
)
INFORMATIVE = 0.1  # explained share, and standard deviation below one row, from which on an estimate changes `std`
DISTINCT, LONGER = 3.0, 1.0  # standard deviations, and rows, by which an estimate is far above the delay in use
# the share of the way there until it is usable, and never further than the first uncertainty at once: the first
# estimates, from little data or under an actuator's lag, come out too long
CAREFUL = 0.7
AGREEING = 3  # usable estimates in a row within the tolerance of each other before they are acted on ...
SURE = 0.999  # ... or one with this confidence


def complaint(estimate: DelayEstimate | None, configured: float, tolerance: float) -> str:
    """Tell what is wrong with the configured delay [ticks]; '' if nothing is, or nothing is known."""
    if estimate is None or not estimate.usable or abs(estimate.ticks - configured) <= tolerance:
        return ""
    return (
        f"control.delay is {configured:g} ticks, but commands act {estimate.ticks:.2f} +- {estimate.std:.2f} ticks "
        f"after the state they were computed from: set control.delay: {estimate.ticks:.2f}"
    )


class DelayMonitor:
    """The delay of one robot while it moves.

    in_use [ticks] is the delay to compensate, at first the configured one; estimate is the newest one; message tells
    what is wrong with the configured delay, '' if nothing is.
    """

    def __init__(self, n: int, dt: float, configured: float, settings: DelaySettings | None = None):
        self.settings, self.configured, self._dt = settings or DelaySettings(), configured, dt
        self._estimator = make_delay_estimator(n, dt, self.settings)
        self._row, self._tolerance = self._estimator.stride, self.settings.tolerance * self._estimator.stride  # [ticks]
        self._every = max(1, round(self.settings.interval / dt))
        self.in_use, self.message, self.std = configured, "", self.settings.uncertainty
        self.estimate: DelayEstimate | None = None
        self._ticks = 0
        self._recent: list[float] = []
        self._running: Generator[None, None, DelayEstimate | None] | None = None
        self._distinct: DelayEstimate | None = None  # the last estimate, if it was far above the delay in use
        self._provisional = False  # whether the delay in use comes from estimates that were not usable

    def reset(self) -> None:
        """Forget the data and what was found out about the delay."""
        self._estimator.reset()
        self.in_use, self.estimate, self.message = self.configured, None, ""
        self._ticks, self._recent, self._running, self._distinct = 0, [], None, None
        self._provisional = False
        self.std = self.settings.uncertainty

    def interrupt(self) -> None:
        """Take note that what acted since the last update is not known."""
        self._estimator.interrupt()

    def take(self, in_use: float, std: float) -> None:
        """Forget the data, and take `in_use` [ticks] with its standard deviation `std` [s] for the delay."""
        self.reset()
        self.in_use, self.std = in_use, std

    def _judge_time(self, estimate: DelayEstimate | None) -> None:
        """Bring `std` up to date."""
        if estimate is not None and estimate.explained > INFORMATIVE and estimate.std < self._row:
            std = self._dt * float(np.hypot(estimate.std, estimate.ticks - self.in_use))
            self.std = min(max(std, self.settings.least_uncertainty, SLOW_SHARE * self.std), self.settings.uncertainty)

    def update(self, stamp: float, q: JointVector, qd: JointVector, command: CommandVector) -> float | None:
        """Add one tick, as for DelayEstimator.update; return the delay [ticks] to compensate if it changed."""
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
            self._provisional = self.estimate is None or not self.estimate.usable
            return self._change(early)
        if self.estimate is None or not self.estimate.usable:
            self._recent = []
            return None
        self.message = complaint(self.estimate, self.configured, self._tolerance)
        self._recent = [*self._recent[1 - AGREEING :], self.estimate.ticks]
        agree = len(self._recent) == AGREEING and np.ptp(self._recent) <= self._tolerance
        sure = self.estimate.confidence >= SURE
        new = self.estimate.ticks if sure else float(np.mean(self._recent))
        if not ((sure or agree) and self.settings.adapt and abs(new - self.in_use) > self._tolerance):
            return None
        self._provisional = False
        return self._change(new)

    def _early(self, estimate: DelayEstimate | None) -> float | None:
        """Return a delay towards the mean of the last two estimates, if both are far above the one in use and agree.

        Below it counts, too, where the one in use is provisional.
        """
        last, self._distinct = self._distinct, None
        far = 0.0 if estimate is None else estimate.ticks - self.in_use
        if self._provisional:
            far = abs(far)
        if (
            estimate is None
            or estimate.explained < self.settings.explained
            or not self.settings.adapt
            or estimate.ticks >= (self.settings.longest - 0.25) * self._row
            or far <= max(DISTINCT * estimate.std, LONGER * self._row)
        ):
            return None
        if last is None or abs(estimate.ticks - last.ticks) > max(self._tolerance, estimate.std + last.std):
            self._distinct = estimate
            return None
        weights = estimate.std**-2, last.std**-2
        mean = (weights[0] * estimate.ticks + weights[1] * last.ticks) / sum(weights)
        way = (1.0 if estimate.usable else CAREFUL) * (mean - self.in_use)
        farthest = self.settings.uncertainty / self._dt
        return float(self.in_use + min(max(way, -farthest), farthest))

    def _change(self, new: float) -> float:
        self.in_use, self._recent = new, []
        self._judge_time(self.estimate)
        return new
