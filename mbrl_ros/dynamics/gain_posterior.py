r"""How well the input gain is known: the acceleration of a joint by one unit of its own command.

The posterior of the regression gives the standard deviation of B_jj = d qd'_j / d u_j: with (S + Lambda_j)^-1 and
the prior's precision of the command's regressor a, scaled by s_a,

    std(B_jj)^2 = [(S + Lambda_j)^-1]_aa Sigma_jj / s_a^2,      learned = 1 - [(S + Lambda_j)^-1]_aa [Lambda_j]_aa

where `learned` is the share of the prior's variance that data have removed: 0, nothing is known but the prior; 1, the
prior does not matter.
"""

from __future__ import annotations

import numpy as np

from ..types import Array
from .posterior import RegressionPosterior


def gain_posterior(posterior: RegressionPosterior, u_scale: Array) -> tuple[Array, Array] | None:
    """Return std(B_jj) (n,) and `learned` (n,) of the last fit; None where only the offset is learned.

    Parameters
    ----------
    posterior
        of the regressors [q; qd; v / u_scale; 1] of n joints.
    u_scale
        (n,) by which the commands are divided.
    """
    n = u_scale.size
    if posterior.size != 3 * n + 1:
        return None
    joints, own = np.arange(n), 2 * n + np.arange(n)
    variance = np.square(posterior.inverse_factors()[joints, :, own]).sum(axis=1)  # over that of the noise
    return np.sqrt(variance * posterior.variance) / u_scale, 1.0 - variance * posterior.precision[joints, own]
