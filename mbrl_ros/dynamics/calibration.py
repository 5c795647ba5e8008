r"""How far members of an ensemble disagree, calibrated against how far they are off on data that they have not seen.

    d_j ~ N(mean_j, aleatoric_j + c_j^2 epistemic_j),    c_j = argmax of the likelihood of the held-out rows

so that c = 1 where the disagreement tells the error, and 2 where it is half of it. The noise is left as it is. Held-out
rows have to come from where the model will be asked: those of one more episode, before it is learned from, and not a
share of the rows that were learned from, about which the members agree.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from ..types import Array

LARGEST_SPREAD_FACTOR = 10.0  # of a spread, and 1 / the least


def spread_factors(d: Array, mean: Array, aleatoric: Array, epistemic: Array) -> Array:
    """Return c (outputs,) for held-out rows d and what was predicted of them, all (N, outputs)."""
    return np.array([_factor(*each) for each in zip((d - mean).T, aleatoric.T, epistemic.T, strict=True)])


def _factor(error: Array, aleatoric: Array, epistemic: Array) -> float:
    """Return c of one output; 1 where it makes no difference."""

    def loss(log_c: float) -> float:
        variance = aleatoric + np.exp(2.0 * log_c) * epistemic
        return float(np.mean(np.log(variance) + error**2 / variance))

    bound = np.log(LARGEST_SPREAD_FACTOR)
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
