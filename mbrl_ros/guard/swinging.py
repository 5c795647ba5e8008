"""Less gain for an arm that swings to and fro: a safe effort that makes an arm faster does not stop it.

Gains of damping and stiffness that fit the arm's inertia make it swing where the inertia is another one: far from the
pose that they were made for, with a longer delay, at a stop. A joint swings when its velocity exceeds SWINGING_SPEED of
its limit in two half-waves one after the other, each shorter than LONGEST_HALF_WAVE. Every second half-wave halves the
share s of damping and stiffness, down to LEAST_SHARE. Without swinging s grows again, and doubles in DOUBLING, up to a
bound that is LOWER times the s at which the swinging began.
"""

from __future__ import annotations

import numpy as np

from .messages import Array

SWINGING_SPEED = 0.3  # of the velocity limit
LONGEST_HALF_WAVE = 0.5  # [s] of a half-wave
HALVED, LEAST_SHARE, LOWER = 0.5, 1.0 / 8.0, 0.5
DOUBLING = 0.5  # [s]
CALM = 1.0  # [s] without swinging, after which it begins anew


class Swinging:
    """The share s of joints with the velocity limits `velocity` (n,) [rad/s or m/s]."""

    def __init__(self, velocity: Array):
        n, self._fast = velocity.size, SWINGING_SPEED * velocity
        self.share = self._most = 1.0
        self._sign, self._lasted = np.zeros(n), np.zeros(n)  # of the present half-wave; [s]
        self._peak, self._before = np.zeros(n), np.zeros(n)  # of it, and of the one before
        self._calm = CALM  # [s] without swinging

    def update(self, qd: Array, elapsed: float) -> float:
        """Take note of the velocity qd (n,), `elapsed` [s] after the last one; return s."""
        turned = (np.sign(qd) == -self._sign) & (self._sign != 0.0)
        short = self._lasted < LONGEST_HALF_WAVE
        self._calm += elapsed
        if (turned & short & (self._peak > self._fast) & (self._before > self._fast)).any():
            if self._calm >= CALM:
                self._most = max(LEAST_SHARE, LOWER * self.share)
            self.share, self._calm = max(LEAST_SHARE, HALVED * self.share), 0.0
            self._before[:] = self._peak[:] = 0.0  # what comes now is the answer to less gain
        elif self.share < self._most:
            self.share = min(self._most, self.share * 2.0 ** (elapsed / DOUBLING))
        self._before = np.where(turned, np.where(short, self._peak, 0.0), self._before)
        self._peak = np.where(turned, np.abs(qd), np.maximum(self._peak, np.abs(qd)))
        self._lasted = np.where(turned, 0.0, self._lasted) + elapsed
        self._sign = np.where(qd != 0.0, np.sign(qd), self._sign)
        return self.share
