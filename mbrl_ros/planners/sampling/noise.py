r"""Noise over the horizon whose power falls with the frequency, as in iCEM.

    w_t = sum_k s_k b_k(t) xi_k,   xi_k ~ N(0, 1),   s_k^2 ~ f_k^-beta,   f_k = k / H for k >= 1,   f_0 = 1 / H

with the orthonormal real Fourier basis b_k of H points, and s scaled so that every w_t has variance 1. beta = 0 is
white noise; with beta = 2 to 4 the commands of neighbouring stages move together (Timmer & Koenig 1995; Pinneri
et al. 2020, section 3.1).
"""

from __future__ import annotations

import numpy as np

from ...types import Array


def mixing(horizon: int, exponent: float) -> Array:
    """Return the matrix (H, H) that makes the noise of white noise, for a horizon H and an exponent beta."""
    H = horizon
    frequency = np.fft.rfftfreq(H)
    frequency[0] = 1.0 / H
    t, columns, power = np.arange(H), [np.ones(H)], [frequency[0] ** -exponent]
    for k in range(1, H // 2 + 1):
        columns.append(np.cos(2.0 * np.pi * k * t / H))
        power.append(frequency[k] ** -exponent)
        if 2 * k < H:
            columns.append(np.sin(2.0 * np.pi * k * t / H))
            power.append(frequency[k] ** -exponent)
    basis = np.array(columns).T
    basis /= np.linalg.norm(basis, axis=0)
    mixed: Array = np.ascontiguousarray(basis * np.sqrt(np.array(power) * H / np.sum(power)))
    return mixed
