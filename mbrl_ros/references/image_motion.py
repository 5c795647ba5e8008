r"""How a target in the image moves the joints: the excitation before, and the speed of the reference then.

With the image Jacobian G (m, n), the joints' velocities that move the features by sd and are least in proportion to
their limits v minimize sum_j (qd_j / v_j)^2 subject to G qd = sd:

    qd = W G^T (G W G^T)^+ sd,   W = diag(v)^2,

and the reference is slowed down until none of them exceeds its share of v.
"""

from __future__ import annotations

import math

import numpy as np

from ..config.sections.dynamics import FeatureSettings
from ..config.sections.references import ReferenceSettings
from ..robots import Robot
from ..types import Array, Gain

SLOWEST_IMAGE = 0.02  # of the usual speed
FREQUENT, LARGER_IN = 3.0, 0.5  # [Hz] of the smallest excitation, [s] in which it grows by e
FRAME_PERIOD = 1.0 / 30.0  # [s], at least between two frames of a pair
RANK = 1e-6  # of the largest eigenvalue: below it a direction in the image is out of reach


def excitation(robot: Robot, settings: ReferenceSettings, since: Array, least: float = 0.0) -> Array:
    """Return small sinusoids (T, n) at `since` (T,) [s] after their beginning, a frequency for each joint.

    They are faded in over half a second, and are smaller where a joint would be faster than a reference may be. With
    `least` they are the smallest that are enough: at FREQUENT, from this amplitude on, which `least_amplitude` returns,
    growing by e in LARGER_IN up to that of the settings.
    """
    n, since = robot.n, since[:, None]
    mean = FREQUENT if least else settings.excitation_frequency
    frequency = mean * (0.6 + 0.8 * np.arange(n) / max(1, n - 1))
    fastest = settings.velocity_fraction * robot.velocity_limit / (2.0 * np.pi * frequency)
    amplitude = np.minimum(settings.excitation_amplitude, fastest)
    if least:
        amplitude = np.minimum(amplitude, least * np.exp(np.minimum(since, 60.0) / LARGER_IN))
    waves: Array = amplitude * np.clip(since / 0.5, 0.0, 1.0) * np.sin(2.0 * np.pi * frequency * since)
    return waves


def least_amplitude(features: FeatureSettings) -> float:
    r"""Return the amplitude A [rad or m] of sinusoids at FREQUENT f that make the image Jacobian known.

    It is known once data have removed the share `known` of the prior variance spread^2 of its entries
    (dynamics/image_jacobian.py). A pair of frames that are b apart sees at most 2 A |sin(pi f b)| of a joint's motion,
    N = 1 / (1 - forgetting) pairs count, and with the noise sigma of a coordinate that asks for

        sum (dq)^2 = 2 N A^2 sin^2(pi f b) = 2 (sigma / spread)^2 known / (1 - known)
    """
    squares = 2.0 * (features.noise / features.jacobian_spread) ** 2
    squares *= features.known / max(1.0 - features.known, 1e-3)
    pairs = 1.0 / max(1.0 - features.forgetting, 1e-3)
    seen = abs(math.sin(math.pi * FREQUENT * max(features.baseline, FRAME_PERIOD)))
    return math.sqrt(squares / (2.0 * pairs)) / max(seen, 0.1)


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
