r"""From the learned change of the velocities to the dynamics of the whole state.

With qd' = qd + A [q; qd; u] + b + e, e ~ N(0, Sigma_e), the rest of x = [q; qd; s; sd] is known:

    q'  = q + dt (qd + qd') / 2                     the trapezoid rule
    sd' = G qd',   s' = s + dt (sd + sd') / 2       but for the image Jacobian G (m, n)

so that x' = F [x; u] + f + noise, whose covariance is, with h = dt / 2,

    Sigma[q, q] = h^2 Sigma_e,   Sigma[q, qd] = h Sigma_e,   Sigma[qd, qd] = Sigma_e,   Sigma[sd, sd] = G Sigma_e G^T
"""

from __future__ import annotations

import numpy as np

from ..types import Array, Covariance, Gain, LinearGaussianDynamics


class StateEquations:
    """The known rows for n joints, m feature coordinates and a control period dt [s]."""

    def __init__(self, n: int, m: int, dt: float):
        self.n, self.m, self.nx, self.nu = n, m, 2 * (n + m), n
        self._half = 0.5 * dt
        self._known_F, self._Sigma = np.zeros((self.nx, self.nx + self.nu)), np.zeros((1, self.nx, self.nx))
        for start, size in ((0, n), (2 * n, m)):  # q' = q + h qd + ..., s' = s + h sd + ...
            rows = np.arange(start, start + size)
            self._known_F[rows, rows] = 1.0
            self._known_F[rows, rows + size] = 0.5 * dt
        self._known_F[np.arange(n, 2 * n), np.arange(n, 2 * n)] = 1.0  # qd' = qd + ...

    def assemble(self, slope: Gain, offset: Array, noise: Covariance, G: Gain) -> LinearGaussianDynamics:
        """Return the dynamics of T stages.

        Parameters
        ----------
        slope, offset
            A (T, n, 3n) and b (T, n).
        noise
            Sigma_e (n, n), of every stage.
        G
            The image Jacobian (m, n).
        """
        n, m, half, T = self.n, self.m, self._half, len(offset)
        F, f, Sigma = np.empty((T, self.nx, self.nx + self.nu)), np.empty((T, self.nx)), self._Sigma.copy()
        F[:] = self._known_F
        qd = F[:, n : 2 * n]
        qd[:, :, : 2 * n] += slope[:, :, : 2 * n]
        qd[:, :, self.nx :] = slope[:, :, 2 * n :]
        f[:, n : 2 * n] = offset
        F[:, :n] += half * qd
        f[:, :n] = half * offset
        Sigma[0, n : 2 * n, n : 2 * n] = noise
        Sigma[0, :n, n : 2 * n] = Sigma[0, n : 2 * n, :n] = half * noise
        Sigma[0, :n, :n] = half**2 * noise
        if m:
            s, sd = slice(2 * n, 2 * n + m), slice(2 * n + m, None)
            F[:, sd], f[:, sd] = G @ qd, offset @ G.T
            F[:, s] += half * F[:, sd]
            f[:, s] = half * f[:, sd]
            Sigma[0, sd, sd] = G @ noise @ G.T
        return LinearGaussianDynamics(F, f, Sigma)
