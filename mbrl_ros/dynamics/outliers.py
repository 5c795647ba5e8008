r"""Heavy tails: what an innovation weighs that is larger than the noise explains.

Noise with tails heavier than a Gaussian's, Student's t with nu degrees of freedom about the same Sigma, is learned from
with the weights of its maximum likelihood (Lange, Little, Taylor 1989), here only beyond the bound b below which 95 %
of the NIS of a right model lie:

    w = 1 where NIS <= m b,       w = (nu + m b) / (nu + NIS) beyond

so that one bad sample moves neither the coefficients nor Sigma by much. What is no outlier must not be taken for one:

    m = max(1, smoothed NIS / b)  before the sample: where most innovations are large, the noise is larger than believed
    w = 1                         where the innovation before was beyond its bound, too, and r'r_ > c |r||r_|: errors
                                  that keep their direction come from a change, a load for instance

with r, r_ the whitened innovations of now and before and c = ONE_DIRECTION. A single wrong velocity makes two
innovations of opposite sign: where r'r_ < -c |r||r_|, m is that of the sample before.

For a right model E[w NIS] / (n E[w]) is a little below one; Sigma is divided by it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import chdtri

from ..types import Array

ONE_DIRECTION = 0.5  # cosine of the angle between innovations of one direction


def noise_bias(n: int, nu: float) -> float:
    """Return E[w NIS] / (n E[w]) of n Gaussian outputs whose Sigma is known; 1 for nu = 0, for no weights."""
    if not nu:
        return 1.0
    share = (np.arange(20000) + 0.5) / 20000
    nis, bound = chdtri(n, share), float(chdtri(n, 0.05))
    w = np.where(nis <= bound, 1.0, (nu + bound) / (nu + nis))
    return float((w * nis).mean() / (n * w.mean()))


class TailWeights:
    """Weights of n outputs' samples, with `nu` degrees of freedom; 0: every sample weighs 1."""

    def __init__(self, n: int, nu: float):
        self.nu = nu
        self._last, self._length, self._surprising = np.zeros(n), 0.0, False
        self._level = 1.0

    def reset(self) -> None:
        """Forget the innovation before."""
        self._last[:] = 0.0
        self._length, self._surprising, self._level = 0.0, False, 1.0

    def weight(self, nis: float, bound: float, whitened: Array, ratio: float) -> float:
        """Return w of the next innovation, and keep it for the one after.

        Parameters
        ----------
        nis, bound
            Its NIS and the 95 % bound of that.
        whitened
            r (n,), of any length.
        ratio
            The smoothed NIS over its bound before this sample.
        """
        if not self.nu:
            return 1.0
        length, level = math.sqrt(whitened @ whitened), max(1.0, ratio)
        surprising, w = nis > bound, 1.0
        if surprising:
            cosine = (whitened @ self._last) / (length * self._length) if self._length else 0.0
            if cosine < -ONE_DIRECTION:
                level = self._level
            if nis > level * bound and not (self._surprising and cosine > ONE_DIRECTION):
                w = (self.nu + level * bound) / (self.nu + nis)
        self._last[:] = whitened
        self._length, self._surprising, self._level = length, surprising, level
        return w
