r"""What a recording tells about the input gain: the acceleration of a joint by one unit of its own command.

Mean and standard deviation are those of dynamics/gain_posterior.py, divided by the period, so that they do not depend
on the rate.

In a closed loop the command follows from the state, so that the state predicts nearly as much without it: how much
better the prediction is with commands tells little about the gain, its posterior tells how well it is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from ..dynamics import OnlineDynamics
from ..dynamics.gain_posterior import gain_posterior
from ..types import Array, LinearGaussianDynamics
from .horizons import INTERVAL_LEVEL


@dataclass(frozen=True, eq=False, slots=True)
class InputGain:
    """The posterior of the gains of n joints at N ticks.

    Attributes
    ----------
    stamps : (N,) [s]
    mean, std : (N, n) [rad/s^2 or m/s^2 per unit of the command]
    learned : (N, n)
    dof : (N,) of std
    """

    stamps: Array
    mean: Array
    std: Array
    learned: Array
    dof: Array

    def half_width(self, level: float = INTERVAL_LEVEL) -> Array:
        """Return half the width of the interval of `level` (N, n)."""
        bound: Array = student_t.ppf(0.5 + 0.5 * level, self.dof)[:, None] * self.std
        return bound

    def to_json(self, joints: tuple[str, ...], warm_up: float) -> dict[str, dict[str, float]]:
        """Return per joint the medians over the ticks after `warm_up` [s], and how often the sign is certain.

        sign_certain is the share of the ticks at which the 95 % interval does not hold zero.
        """
        late = self.stamps >= warm_up
        late = late if late.any() else np.ones_like(late)
        mean, half, learned = self.mean[late], self.half_width()[late], self.learned[late]
        return {
            joint: {
                "mean": float(np.median(mean[:, j])),
                "lower": float(np.median(mean[:, j] - half[:, j])),
                "upper": float(np.median(mean[:, j] + half[:, j])),
                "learned": float(np.median(learned[:, j])),
                "sign_certain": float((np.abs(mean[:, j]) > half[:, j]).mean()),
            }
            for j, joint in enumerate(joints)
        }


class GainLog:
    """Notes the posterior of the gains at every tick that it is called at.

    u_scale : (n,) by which the dynamics divide the commands
    """

    def __init__(self, dynamics: OnlineDynamics, u_scale: Array):
        self._dynamics, self._u_scale = dynamics, u_scale
        self._rows: list[tuple[float, Array, Array, Array, float]] = []

    def __call__(self, stamp: float, model: LinearGaussianDynamics) -> None:
        """Note the posterior of the last fit, `model`, at `stamp` [s]; nothing where only the offset is learned."""
        n, dt, posterior = self._dynamics.n, self._dynamics.dt, self._dynamics.posterior
        found = gain_posterior(posterior, self._u_scale)
        if found is None:
            return
        mean = np.diag(model.F[0][n : 2 * n, 2 * n :]) / dt
        self._rows.append((stamp, mean, found[0] / dt, found[1], posterior.noise_dof))

    def gain(self) -> InputGain | None:
        """Return what was noted; None: nothing."""
        return InputGain(*map(np.array, zip(*self._rows, strict=True))) if self._rows else None
