"""One linear model for everywhere, fitted to all past data: the simplest global prior.

    delta(x, u) = A [q; qd; u] + b,    A = argmin sum |d - A z - b|^2 / sigma^2 + |A / spread|^2

Ridge regression whose penalty is the wide belief of _learned.py (Bishop 2006, eq. 3.28), so that directions the data
never excited stay at zero. Gravity and coupling vary with the pose; what one plane cannot hold is left to the
online regression.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...config.section import Section, setting
from ...data.dataset import Dataset
from ...types import Array
from ._learned import load_model, regressors, require, wide_spread
from .integrator import IntegratorPrior


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    file: str = setting("", "the fitted model (mbrl fit-prior)")
    spread_scale: float = setting(1.0, "factor on the spread found when it was fitted", low=1e-6, high=1e6)


def fit(data: Dataset, u_scale: Array, progress=None) -> dict[str, Array]:
    """The model's arrays: jacobian (n, 3n) by [q; qd; u], offset (n,), spread_scale ()."""
    n = data.D.shape[1]
    Phi = regressors(data.X, data.U, u_scale)
    centre = Phi[:, :-1].mean(axis=0)
    Phi[:, :-1] -= centre
    spread = wide_spread(n, data.owner.dt)
    noise = 0.0
    for _ in range(3):  # the noise and the coefficients in turn
        precision = np.diag(Phi.T @ Phi).max() * 1e-12 + (noise / spread) ** 2
        W = np.linalg.solve(Phi.T @ Phi + np.diag(precision), Phi.T @ data.D)
        noise = float(np.sqrt(np.mean((data.D - Phi @ W) ** 2)))
    A = W[:-1].T.copy()
    A[:, 2 * n :] /= u_scale
    centre[2 * n :] *= u_scale
    return {"jacobian": A, "offset": W[-1] - A @ centre, "spread_scale": np.array(1.0)}


class GlobalLinearPrior(IntegratorPrior):
    """delta (n,) = J [q; qd; u] + b."""

    def __init__(self, jacobian: Array, offset: Array, spread: Array):
        super().__init__(jacobian, spread)
        self.offset = offset

    def mean(self, x: Array, u: Array) -> Array:
        return super().mean(x, u) + self.offset

    def linearise(self, X: Array, U: Array) -> tuple[Array, Array]:
        mean, jacobian = super().linearise(X, U)
        return mean + self.offset, jacobian


def from_arrays(arrays: dict[str, Array], robot, dt: float, spread_scale: float = 1.0) -> GlobalLinearPrior:
    n = len(robot.joints)
    require("global_linear", arrays, {"jacobian": (n, 3 * n), "offset": (n,), "spread_scale": ()})
    return GlobalLinearPrior(
        arrays["jacobian"], arrays["offset"], wide_spread(n, dt, spread_scale * float(arrays["spread_scale"]))
    )


def build(settings: Settings, robot, dt: float) -> GlobalLinearPrior:
    """The saved prior, refused for another robot, interface or period."""
    return from_arrays(load_model("global_linear", settings.file, robot, dt), robot, dt, settings.spread_scale)
