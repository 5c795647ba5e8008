r"""Change of the command, as a share of a large one or as the acceleration it makes, whichever is more.

    J = d^T (H^-2 + B^T B / a^2) d = |L H^-1 d|^2,     d = u_t - u_{t-1},   L^T L = I + H B^T B H / a^2

h the robot's command scale, H = diag(h), B = d qdd / d u and a an acceleration that counts as large
(control.full_acceleration). u_{-1} is the command in effect now. It costs nothing at rest whatever effort rest needs,
so there is no steady-state error without any gravity model, and it makes commands smooth.

The second part is for efforts. An effort limit may be nominal, and a combination of joints may have far less inertia
than any one of them (two parallel axes turning against each other); with the first part alone a change that throws such
a combination would look small, and the loop would be faster there than an uncertain delay allows.

Parameter: shape (nu (nu + 1) / 2,), the upper triangle of L row by row; the identity by default.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf

from ..codegen.symbolic import casadi
from ..config.section import setting
from ..types import Array, CommandVector, Gain
from .base import CostContext, CostSettings, Term


@dataclass(frozen=True)
class Settings(CostSettings):
    """Change of command."""

    weight: float = setting(
        15.0, "weight of the cost; 0 when the node is configured leaves it out", low=0.0, dynamic=True
    )


def build(settings: Settings, context: CostContext) -> dict[str, Term]:
    """Build the only term; see the top of this module."""
    nu = context.nu
    shape = casadi.SX.sym("shape", nu * (nu + 1) // 2)
    L = casadi.SX(casadi.Sparsity.lower(nu), shape).T  # CasADi counts by columns
    change = (context.u - context.u_previous) / context.command_scale
    return {"": Term(L @ change, settings, {"shape": (shape, np.eye(nu)[_triangle(nu)])})}


def shape(gain: Gain, scale: CommandVector, acceleration: float) -> Array:
    """Return the upper triangle of L, row by row.

    Parameters
    ----------
    gain
        B (nu, nu) [rad/s^2 per unit of command].
    scale
        h (nu,), the robot's command scale.
    acceleration
        a [rad/s^2 or m/s^2].
    """
    by_share = gain * (scale / acceleration)
    product = by_share.T @ by_share
    product.reshape(-1)[:: scale.size + 1] += 1.0
    upper: Array = dpotrf(product, lower=0)[0]
    return upper[_triangle(scale.size)]


@functools.cache
def _triangle(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of an upper triangle, row by row."""
    return np.triu_indices(n)
