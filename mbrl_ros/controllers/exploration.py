r"""Exploration: white noise on the command, which fades as the model becomes known.

    u + s(t) h w,   w ~ N(0, I),   s(t) = s_end + (s_start - s_end) exp(-(t - t_0) / decay)

with h (nu,) the robot's command scale. For efforts h_j is reduced where the prior's input gain B = d qdd / d u makes
even s_start h_j a change of the velocity that is larger than `control.exploration_noise` times its noise sigma in one
tick:

    h_j <- h_j min(1, exploration_noise sigma / (B_jj h_j dt s_start))

Position commands are taken to be obeyed within a tick: B_jj = 1 / dt^2.
"""

from __future__ import annotations

import math

import numpy as np

from ..config.sections.control import ControlSettings
from ..robots import Robot
from ..types import CommandVector, Gain

LARGEST_EXPONENT = 700.0  # whose exponential is finite


class Exploration:
    """The noise of one controller; `random` is its generator, which other parts of the controller may use, too."""

    def __init__(self, robot: Robot, settings: ControlSettings, dt: float):
        self._robot, self._settings, self._dt = robot, settings, dt
        self._size: CommandVector = robot.command_scale
        self._start = 0.0
        self.random = np.random.default_rng(settings.seed)

    def reset(self, stamp: float) -> None:
        """Begin anew at `stamp` [s], with the same seed."""
        self.random, self._start = np.random.default_rng(self._settings.seed), stamp

    def postpone(self, seconds: float) -> None:
        """Take note of an interruption, or of a jump of the stamps: noise must not grow with it."""
        self._start += seconds

    def update_settings(self, settings: ControlSettings) -> None:
        """Take over the dynamic settings."""
        self._settings = settings

    def fit_to_gain(self, gain: Gain, noise: float) -> None:
        """Reduce the noise for the input gain B (nu, nu) and the velocities' noise sigma [rad/s]."""
        c, scale = self._settings, self._robot.command_scale
        visible = c.exploration_noise * noise / (gain.diagonal() * scale * self._dt)
        self._size = scale * np.minimum(1.0, visible / max(c.exploration_start, 1e-9))

    def sample(self, stamp: float) -> CommandVector:
        """Draw the noise (nu,) for `stamp` [s]."""
        c = self._settings
        decay = math.exp(min(-(stamp - self._start) / c.exploration_decay, LARGEST_EXPONENT))
        size = c.exploration_end + (c.exploration_start - c.exploration_end) * decay
        sample: CommandVector = size * self._size * self.random.standard_normal(self._size.size)
        return sample
