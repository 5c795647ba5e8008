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

from ..config.sections.safety import MonitorSettings
from ..robots import Robot
from ..types import Array
from .loop_measures import Model, make_measures
from .state_machine import NO_REASON, Reason

MEASURES = {
    Reason.LOOP_NOISE: "noise over its long-run value",
    Reason.LOOP_TRACKING: "speed away from the reference [m/s]",
    Reason.LOOP_CHATTER: "commands to and fro [rad/s^2]",
    Reason.LOOP_OFFSET: "offset to and fro [rad/s^2]",
    Reason.LOOP_SATURATION: "share of commands at their limit",
}
FEWEST_AVERAGED = 5  # ticks that a mean extends over, at least
GAIN_STEPS = 20  # of the gain between 0 and 1: it is told in steps, so that it does not change in every tick


class LoopMonitor:
    """Watches the loop of `robot` with the period `dt` [s]; `noise` [rad/s] is the least long-run noise.

    reasons: the conditions that hold; values: what they compare with their thresholds; gain: the share of the usual
    gain; held: whether the arm is to be held.
    """

    def __init__(self, robot: Robot, settings: MonitorSettings, dt: float, noise: float):
        self._settings, self._dt = settings, dt
        self._share = min(1.0 / FEWEST_AVERAGED, dt / settings.memory)
        slow_share = min(1.0, dt / settings.noise_memory)
        self._rise = math.exp(dt / settings.recovery)
        margin = 1e-6 * (robot.command_upper - robot.command_lower)
        limits: tuple[Array | None, Array | None] = (None, None)
        if robot.interface == "effort":
            limits = robot.command_lower + margin, robot.command_upper - margin
        self._measures = make_measures(robot.n, dt, self._share, slow_share, noise**2, *limits)
        self._stamp = self._away = math.nan
        self._bad_for = self._good_for = 0.0
        self._share_of_gain = 1.0
        self._receding = 0.0  # see `values`
        self.reasons, self.gain, self.held = Reason.NONE, 1.0, False
        self.reset()

    @property
    def values(self) -> dict[Reason, float]:
        """What the conditions compare with their thresholds; a dict of enumeration members is too slow for a tick."""
        m = self._measures
        values = m.noisiness, self._receding, m.chatter, m.offset, m.saturation
        return dict(zip(MEASURES, values, strict=True))

    def reset(self) -> None:
        """Start anew with a loop that is not known to be bad."""
        self._measures.reset()
        self._bad_for = self._good_for = 0.0
        self._share_of_gain = 1.0
        self.reasons, self.gain, self.held = Reason.NONE, 1.0, False
        self.restart()

    def restart(self) -> None:
        """Compare nothing with the ticks before: the motion or the commands were interrupted."""
        self._measures.restart()
        self._away, self._receding = math.nan, 0.0

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
        self._measures.update(u, model)
        growth, elapsed = min(away - self._away, moved), stamp - self._stamp
        self._away, self._stamp = away, stamp
        if math.isfinite(growth) and elapsed > 0.0:
            self._receding += self._share * (growth / elapsed - self._receding)
        self._judge(self._is_noisy(model))

    def _is_noisy(self, model: Model | None) -> bool:
        """Return whether the noise is far above its long-run value."""
        if model is None:
            return bool(int(self.reasons) & int(Reason.LOOP_NOISE))
        m, settings = self._measures, self._settings
        return m.noisiness > settings.noise_growth and m.noisiest > settings.noise * self._dt

    def _judge(self, noisy: bool) -> None:
        """Decide which conditions hold, and on gain and hold."""
        settings, measures = self._settings, self._measures
        found = (
            noisy,
            self._receding > settings.tracking,
            measures.chatter > settings.chatter,
            measures.offset > settings.offset,
            measures.saturation > settings.saturation,
        )
        reasons = NO_REASON
        if True in found:
            for holds, reason in zip(found, MEASURES, strict=True):
                reasons |= reason if holds else NO_REASON
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
