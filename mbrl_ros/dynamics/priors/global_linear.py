r"""The prior `global_linear`: one linear model for everywhere, fitted to all past data.

    delta(x, u) = A [q; qd; u] + b,    A = argmin sum |d - A z - b|^2 / sigma^2 + |(A - J) / spread|^2

Ridge regression whose penalty is what is known before (Bishop 2006, eq. 3.28), J = 0 and the wide belief of learned.py
where that is nothing, so that directions the data never excited stay at J. Gravity and coupling vary with the pose;
what one plane cannot hold is left to the online regression.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...config.section import Section, setting
from ...data.dataset import Dataset
from ...robots import Robot
from ...types import Array, CommandVector, Gain, JointVector
from .base import Prior
from .integrator import IntegratorPrior
from .learned import Progress, load_model, regressors, require, require_positive, spread_of, wide_spread


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The fitted model."""

    file: str = setting("", "the fitted model (mbrl fit-prior)")
    spread_scale: float = setting(1.0, "factor on the spread found when it was fitted", low=1e-6, high=1e6)


def fit(
    data: Dataset,
    u_scale: CommandVector,
    progress: Progress | None = None,
    *,
    known: tuple[Array, Array] | None = None,
) -> dict[str, Array]:
    """Return the model's arrays: jacobian (n, 3n) by [q; qd; u], offset (n,), spread_scale ().

    known: J (n, 3n) and the spread (3n+1,) of what is known before any data; None: nothing.
    """
    n = data.D.shape[1]
    J, spread = (np.zeros((n, 3 * n)), wide_spread(n, data.owner.dt)) if known is None else known
    D = data.D - np.hstack([data.X, data.U]) @ J.T
    Phi = regressors(data.X, data.U, u_scale)
    centre = Phi[:, :-1].mean(axis=0)
    Phi[:, :-1] -= centre
    noise = 0.0
    for _ in range(3):  # the noise and the coefficients in turn
        precision = np.diag(Phi.T @ Phi).max() * 1e-12 + (noise / spread) ** 2
        W = np.linalg.solve(Phi.T @ Phi + np.diag(precision), Phi.T @ D)
        noise = float(np.sqrt(np.mean((D - Phi @ W) ** 2)))
    A = W[:-1].T.copy()
    A[:, 2 * n :] /= u_scale
    centre[2 * n :] *= u_scale
    return {"jacobian": J + A, "offset": W[-1] - A @ centre, "spread_scale": np.array(1.0)}


class GlobalLinearPrior(IntegratorPrior):
    """delta (n,) = J [q; qd; u] + b."""

    def __init__(self, jacobian: Gain, offset: JointVector, spread: Array):
        super().__init__(jacobian, spread)
        self.offset = offset

    def mean(self, x: Array, u: CommandVector) -> JointVector:
        """See `Prior`."""
        return super().mean(x, u) + self.offset

    def linearize(self, X: Array, U: Array) -> tuple[Array, Gain]:
        """See `Prior`."""
        mean, jacobian = super().linearize(X, U)
        return mean + self.offset, jacobian


def from_arrays(arrays: dict[str, Array], robot: Robot, dt: float, spread_scale: float = 1.0) -> GlobalLinearPrior:
    """Make the prior of what `fit` returned; DataError if that does not fit the robot."""
    n = len(robot.joints)
    require("global_linear", arrays, {"jacobian": (n, 3 * n), "offset": (n,), "spread_scale": ()})
    require_positive("global_linear", arrays, "spread_scale")
    return GlobalLinearPrior(arrays["jacobian"], arrays["offset"], spread_of(arrays, n, dt, spread_scale))


def build(settings: Settings, robot: Robot, dt: float) -> Prior:
    """Build the saved prior; DataError if it was fitted for another robot, interface or period."""
    return from_arrays(load_model("global_linear", settings.file, robot, dt), robot, dt, settings.spread_scale)
