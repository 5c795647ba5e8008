r"""Whether the closed loop is bad: five conditions that concern the loop, not the prediction of one step.

A model can be consistent with every measured step while the loop about it diverges: the error that an unknown delay or
lag makes is learned as an offset, fed back through the inverse of the input gain, and each step is predicted as well as
the step before. Per tick of dt [s], with B = d qd' / d u of the last fit, its noise Sigma, the velocity change e
[rad/s] that it expects at the present state x and command u, the tip's distance p [m] from its reference, a the part
of its change that is the tip's own motion [m], and E[.] the exponentially weighted mean over `memory` seconds,

    c = B (u - u') / dt: the acceleration by the command's change                                   (n,) [rad/s^2]
    o = (e - e' - B (u - u')) / dt: the change of e that the command's own change does not explain  (n,) [rad/s^2]
    R(y) = max_j E[|y_j|] - |E[y_j]|: the mean change per tick to and fro, 0 where y keeps its sign

    LOOP_NOISE        max_j s_j / max(l_j, noise) > noise_growth, and that s_j / dt > noise
                      where s_j^2 = Sigma_jj and l_j^2 is its mean over noise_memory
    LOOP_TRACKING     E[min(p - p', a) / dt] > tracking: a reference that goes ahead of a slow arm is no bad loop
    LOOP_CHATTER      R(c) > chatter
    LOOP_OFFSET       R(o) > offset, for efforts: the lag of a servo makes what is expected of it go to and fro, too
    LOOP_SATURATION   E[whether a command is at its limit] > saturation

What follows: the gain of the controller is lowered to `least_gain` at once. After `release_after` seconds without a
condition it rises again, by the factor exp(dt / recovery) per tick. The arm is held when conditions have held for
`hold_after` seconds, all told, since the gain was lowered, and released when it begins to rise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..config.sections.safety import MonitorSettings
from ..robots import Robot
from ..types import Array
from .state_machine import Reason

MEASURES = {
    Reason.LOOP_NOISE: "noise over its long-run value",
    Reason.LOOP_TRACKING: "speed away from the reference [m/s]",
    Reason.LOOP_CHATTER: "commands to and fro [rad/s^2]",
    Reason.LOOP_OFFSET: "offset to and fro [rad/s^2]",
    Reason.LOOP_SATURATION: "share of commands at their limit",
}
FEWEST_AVERAGED = 5  # ticks that a mean extends over, at least
GAIN_STEPS = 20  # of the gain between 0 and 1: it is told in steps, so that it does not change in every tick


class Model(NamedTuple):
    """The model of a tick, of which the monitor knows nothing else.

    input_gain (n, n): d qd' / d u; noise (n,): standard deviation of the velocity change [rad/s]; expected (n,): the
    velocity change [rad/s] that it expects at the present state and the command `at` (n,).
    """

    input_gain: Array
    noise: Array
    expected: Array
    at: Array


class _ToAndFro:
    """R(y) of y (n,) with `share` of a tick in the means; for so few numbers lists take less time than arrays."""

    def __init__(self, n: int, share: float):
        self._n, self._share = n, share
        self.restart()

    def restart(self) -> None:
        """Begin with y = 0."""
        self._absolute, self._mean = [0.0] * self._n, [0.0] * self._n

    def update(self, y: Array) -> float:
        """Return R with y taken in; a y that is not finite begins anew."""
        absolute, mean, share, largest = self._absolute, self._mean, self._share, 0.0
        for j, value in enumerate(y.tolist()):
            if not math.isfinite(value):
                self.restart()
                return 0.0
            size = absolute[j] = absolute[j] + share * (abs(value) - absolute[j])
            middle = mean[j] = mean[j] + share * (value - mean[j])
            largest = max(largest, size - abs(middle))
        return largest


class LoopMonitor:
    """Watches the loop of `robot` with the period `dt` [s]; `noise` [rad/s] is the least long-run noise.

    reasons: the conditions that hold; values: what they compare with their thresholds; gain: the share of the usual
    gain; held: whether the arm is to be held.
    """

    def __init__(self, robot: Robot, settings: MonitorSettings, dt: float, noise: float):
        self._settings, self._dt = settings, dt
        self._share = min(1.0 / FEWEST_AVERAGED, dt / settings.memory)
        self._slow_share = min(1.0, dt / settings.noise_memory)
        self._rise, self._least_noise = math.exp(dt / settings.recovery), noise**2
        margin = 1e-6 * (robot.command_upper - robot.command_lower)
        lower, upper = robot.command_lower + margin, robot.command_upper - margin
        self._limits = list(zip(lower.tolist(), upper.tolist(), strict=True)) if robot.interface == "effort" else []
        self._commands, self._offsets = _ToAndFro(robot.n, self._share), _ToAndFro(robot.n, self._share)
        self._long_run = [noise**2] * robot.n
        self._u: Array | None = None
        self._model: Model | None = None  # the last one
        self._stamp = self._away = math.nan
        self._bad_for = self._good_for = 0.0
        self._share_of_gain = 1.0
        self._noisiness = self._receding = self._chatter = self._offset = self._saturation = 0.0  # see `values`
        self.reasons, self.gain, self.held = Reason.NONE, 1.0, False
        self.reset()

    @property
    def values(self) -> dict[Reason, float]:
        """What the conditions compare with their thresholds; a dict of enumeration members is too slow for a tick."""
        values = self._noisiness, self._receding, self._chatter, self._offset, self._saturation
        return dict(zip(MEASURES, values, strict=True))

    def reset(self) -> None:
        """Start anew with a loop that is not known to be bad."""
        self._long_run = [self._least_noise] * len(self._long_run)
        self._bad_for = self._good_for = 0.0
        self._share_of_gain = 1.0
        self.reasons, self.gain, self.held = Reason.NONE, 1.0, False
        self.restart()

    def restart(self) -> None:
        """Compare nothing with the ticks before: the motion or the commands were interrupted."""
        self._commands.restart()
        self._offsets.restart()
        self._u, self._model, self._away = None, None, math.nan
        self._noisiness = self._receding = self._chatter = self._offset = self._saturation = 0.0

    def update(self, stamp: float, u: Array, model: Model | None, away: float, moved: float = math.inf) -> None:
        """Take in one tick.

        Parameters
        ----------
        stamp
            of its state [s].
        u
            (n,) the command in effect.
        model
            None where nothing was learned in this tick.
        away
            the distance of the end effector from its reference [m]; NaN where there is none.
        moved
            how much farther from its present reference [m] the end effector is than it was in the last tick.
        """
        self._compare(u, model)
        growth, elapsed = min(away - self._away, moved), stamp - self._stamp
        self._away, self._stamp = away, stamp
        if math.isfinite(growth) and elapsed > 0.0:
            self._receding += self._share * (growth / elapsed - self._receding)
        if self._limits:
            full = 0.0
            for value, (lower, upper) in zip(u.tolist(), self._limits, strict=True):
                if not lower < value < upper:
                    full = 1.0
            self._saturation += self._share * (full - self._saturation)
        self._judge(self._is_noisy(model))

    def _compare(self, u: Array, model: Model | None) -> None:
        """Take c and o of this tick, as far as they are known, into the means."""
        before, past = self._u, self._model
        self._u, self._model = u, past if model is None else model
        if before is None or self._model is None:
            return
        by_command = self._model.input_gain @ (u - before)
        self._chatter = self._commands.update(by_command) / self._dt
        if self._limits and model is not None and past is not None:
            unexplained = model.expected - past.expected - model.input_gain @ (model.at - past.at)
            self._offset = self._offsets.update(unexplained) / self._dt

    def _is_noisy(self, model: Model | None) -> bool:
        """Return whether the noise is far above its long-run value."""
        if model is None:
            return bool(int(self.reasons) & int(Reason.LOOP_NOISE))
        largest, of_largest, long_run, least = 0.0, 0.0, self._long_run, self._least_noise
        for j, std in enumerate(model.noise.tolist()):
            if not math.isfinite(std):
                continue
            variance = std * std
            growth = variance / long_run[j]
            long_run[j] += self._slow_share * (max(variance, least) - long_run[j])
            if growth > largest:
                largest, of_largest = growth, std
        self._noisiness = ratio = math.sqrt(largest)
        return ratio > self._settings.noise_growth and of_largest > self._settings.noise * self._dt

    def _judge(self, noisy: bool) -> None:
        """Decide which conditions hold, and on gain and hold."""
        settings = self._settings
        conditions = (
            (noisy, Reason.LOOP_NOISE),
            (self._receding > settings.tracking, Reason.LOOP_TRACKING),
            (self._chatter > settings.chatter, Reason.LOOP_CHATTER),
            (self._offset > settings.offset, Reason.LOOP_OFFSET),
            (self._saturation > settings.saturation, Reason.LOOP_SATURATION),
        )
        reasons = Reason.NONE
        for holds, reason in conditions:
            if holds:
                reasons |= reason
        self.reasons = reasons
        if reasons:
            self._bad_for, self._good_for = self._bad_for + self._dt, 0.0
            self._share_of_gain = settings.least_gain
            self.held = self.held or self._bad_for > settings.hold_after
        else:
            self._good_for += self._dt
            if self._good_for >= settings.release_after:
                self._bad_for, self.held = 0.0, False
                self._share_of_gain = min(1.0, self._share_of_gain * self._rise)
        self.gain = round(GAIN_STEPS * self._share_of_gain) / GAIN_STEPS if self._share_of_gain < 1.0 else 1.0
