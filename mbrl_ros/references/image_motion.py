r"""How a target in the image moves the joints: the excitation before, and the speed of the reference then.

With the image Jacobian G (m, n), the joints' velocities that move the features by sd and are least in proportion to
their limits v minimize sum_j (qd_j / v_j)^2 subject to G qd = sd:

    qd = W G^T (G W G^T)^+ sd,   W = diag(v)^2,

and the reference is slowed down until none of them exceeds its share of v.
"""

from __future__ import annotations

import numpy as np

from ..config.sections.references import ReferenceSettings
from ..robots import Robot
from ..types import Array, Gain

SLOWEST_IMAGE = 0.02  # of the usual speed
RANK = 1e-6  # of the largest eigenvalue: below it a direction in the image is out of reach


def excitation(robot: Robot, settings: ReferenceSettings, since: Array) -> Array:
    """Return small sinusoids (T, n) at `since` (T,) [s] after their beginning, a frequency for each joint.

    They are faded in over half a second, and are smaller where a joint would be faster than a reference may be.
    """
    n, since = robot.n, since[:, None]
    frequency = settings.excitation_frequency * (0.6 + 0.8 * np.arange(n) / max(1, n - 1))
    fastest = settings.velocity_fraction * robot.velocity_limit / (2.0 * np.pi * frequency)
    amplitude = np.minimum(settings.excitation_amplitude, fastest)
    waves: Array = amplitude * np.clip(since / 0.5, 0.0, 1.0) * np.sin(2.0 * np.pi * frequency * since)
    return waves


def feature_share(robot: Robot, settings: ReferenceSettings, G: Gain, way: Array) -> float:
    """Return the share (0, 1] of `feature_speed` at which the joints can follow a straight `way` (m,) in the image."""
    longest = float(np.abs(way).max())
    if longest == 0.0:
        return 1.0
    scaled = G * robot.velocity_limit
    sd = 2.0 * settings.feature_speed * way / longest  # coordinates count half-widths
    needed = scaled.T @ (np.linalg.pinv(scaled @ scaled.T, rcond=RANK, hermitian=True) @ sd)
    largest = float(np.abs(needed).max())
    return max(SLOWEST_IMAGE, min(1.0, settings.velocity_fraction / largest)) if largest > 0.0 else 1.0
