r"""From the learned change of the velocities to the dynamics of the whole state.

With qd' = qd + A [q; qd; u] + b + e, e ~ N(0, Sigma_e), the rest of x = [q; qd; s; sd] is known:

    q'  = q + dt ((1 - theta) qd + theta qd')       theta = 1/2, the trapezoid rule, unless the data say otherwise
    sd' = G qd',   s' = s + dt (sd + sd') / 2       but for the image Jacobian G (m, n)

so that x' = F [x; u] + f + noise, whose covariance is, with h = theta dt,

    Sigma[q, q] = h^2 Sigma_e,   Sigma[q, qd] = h Sigma_e,   Sigma[qd, qd] = Sigma_e,   Sigma[sd, sd] = G Sigma_e G^T

Velocities that are differences of the positions satisfy theta = 1 exactly (ros2_control's mock hardware; drivers
without a velocity sensor). Where states are shown to `add`, theta_j = 1 from when the mean square of the residual of
that rule is below BETTER times that of the trapezoid rule, until it is above the trapezoid's; the means have a memory
of RULE_MEMORY periods, and nothing changes in the first of these.
"""

from __future__ import annotations

import numpy as np

from ..types import Array, Covariance, Gain, LinearGaussianDynamics

BETTER, RULE_MEMORY = 0.25, 20


class StateEquations:
    """The known rows for n joints, m feature coordinates and a control period dt [s].

    known_F (nx, nx+nu) without what is learned, step (n, 1) = theta dt and half = dt/2; filled in place.
    """

    def __init__(self, n: int, m: int, dt: float):
        self.n, self.m, self.nx, self.nu = n, m, 2 * (n + m), n
        self.dt, self.half, self.step = dt, 0.5 * dt, np.zeros((n, 1))
        self.known_F, self._Sigma = np.zeros((self.nx, self.nx + self.nu)), np.zeros((1, self.nx, self.nx))
        for start, size in ((0, n), (2 * n, m)):  # q' = q + h qd + ..., s' = s + h sd + ...
            rows = np.arange(start, start + size)
            self.known_F[rows, rows] = 1.0
            self.known_F[rows, rows + size] = 0.5 * dt
        self.known_F[np.arange(n, 2 * n), np.arange(n, 2 * n)] = 1.0  # qd' = qd + ...
        self.reset()

    def reset(self) -> None:
        """Forget theta."""
        self._seen, self._squares = 0, np.zeros((2, self.n))  # of the residuals of both rules
        self._take(np.full(self.n, 0.5))

    def add(self, x: Array, x_next: Array) -> None:
        """Take in two states one period apart, at least [q; qd]."""
        n = self.n
        before, after = x[n : 2 * n], x_next[n : 2 * n]
        differenced = x_next[:n] - x[:n] - self.dt * after
        trapezoid = differenced + self.half * (after - before)
        self._seen += 1
        newest = np.array((trapezoid * trapezoid, differenced * differenced))
        self._squares += max(1.0 / self._seen, 1.0 / RULE_MEMORY) * (newest - self._squares)
        if self._seen < RULE_MEMORY:
            return
        theta = np.where(self._squares[1] < BETTER * self._squares[0], 1.0, self.theta)
        theta[self._squares[1] > self._squares[0]] = 0.5
        if (theta != self.theta).any():
            self._take(theta)

    def _take(self, theta: Array) -> None:
        rows = np.arange(self.n)
        self.theta, self.step[:, 0] = theta, self.dt * theta
        self.known_F[rows, rows + self.n] = self.dt * (1.0 - theta)

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
        n, m, half, T = self.n, self.m, self.half, len(offset)
        F, f, Sigma = np.empty((T, self.nx, self.nx + self.nu)), np.empty((T, self.nx)), self._Sigma.copy()
        F[:] = self.known_F
        qd = F[:, n : 2 * n]
        qd[:, :, : 2 * n] += slope[:, :, : 2 * n]
        qd[:, :, self.nx :] = slope[:, :, 2 * n :]
        f[:, n : 2 * n] = offset
        step = self.step
        F[:, :n] += step * qd
        f[:, :n] = step[:, 0] * offset
        Sigma[0, n : 2 * n, n : 2 * n] = noise
        Sigma[0, :n, n : 2 * n] = step * noise
        Sigma[0, n : 2 * n, :n] = Sigma[0, :n, n : 2 * n].T
        Sigma[0, :n, :n] = step * step.T * noise
        if m:
            s, sd = slice(2 * n, 2 * n + m), slice(2 * n + m, None)
            F[:, sd], f[:, sd] = G @ qd, offset @ G.T
            F[:, s] += half * F[:, sd]
            f[:, s] = half * f[:, sd]
            Sigma[0, sd, sd] = G @ noise @ G.T
        return LinearGaussianDynamics(F, f, Sigma)
