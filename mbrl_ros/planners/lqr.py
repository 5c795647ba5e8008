r"""The linear-quadratic (-Gaussian) problem, solved exactly: what iLQR reduces to, and is tested against.

    min E sum_{t<H} (1/2 z_t^T C_t z_t + c_t^T z_t) + 1/2 x_H^T C_H x_H + c_H^T x_H,   z = [x; u]
    x' ~ N(F_t z + f_t, Sigma_t)

The value function 1/2 x^T V x + v^T x + const follows backwards from V_H = C_H, v_H = c_H:

    Q = C + F^T V' F,  q = c + F^T (V' f + v'),  K = -Q_uu^-1 Q_ux,  k = -Q_uu^-1 q_u
    V = Q_xx + Q_xu K,  v = q_x + Q_xu k,  const = const' + 1/2 f^T V' f + v'^T f + 1/2 q_u^T k + 1/2 tr(V' Sigma)

(Levine & Abbeel 2014, section 3.1; any text on optimal control). The noise changes the cost and not the policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..exceptions import ShapeError
from ..types import Array, LinearGaussianDynamics


@dataclass(frozen=True, eq=False, slots=True)
class LinearQuadraticSolution:
    """u = K_t x + k_t with K (H, nu, nx), k (H, nu); V (H+1, nx, nx), v (H+1, nx), constant (H+1,) of the value function."""

    K: Array
    k: Array
    V: Array
    v: Array
    constant: Array

    def cost(self, x0: Array) -> float:
        """The expected cost from x0 (nx,)."""
        return float(0.5 * x0 @ self.V[0] @ x0 + self.v[0] @ x0 + self.constant[0])


def solve(
    dynamics: LinearGaussianDynamics, C: Array, c: Array, C_last: Array, c_last: Array
) -> LinearQuadraticSolution:
    """C (H, nz, nz), c (H, nz), C_last (nx, nx), c_last (nx,). numpy's LinAlgError if Q_uu is singular; ShapeError."""
    H, nz = c.shape
    nx = len(c_last)
    for name, array, shape in (
        ("C", C, (H, nz, nz)),
        ("C_last", C_last, (nx, nx)),
        ("F", dynamics.F, (len(dynamics.F), nx, nz)),
    ):
        if array.shape != shape:
            raise ShapeError(name, shape, array.shape)
    V, v, constant = np.empty((H + 1, nx, nx)), np.empty((H + 1, nx)), np.zeros(H + 1)
    K, k = np.empty((H, nz - nx, nx)), np.empty((H, nz - nx))
    V[H], v[H] = C_last, c_last
    for t in range(H - 1, -1, -1):
        F, f, Sigma = dynamics.at(t)
        Q, q = C[t] + F.T @ V[t + 1] @ F, c[t] + F.T @ (V[t + 1] @ f + v[t + 1])
        K[t], k[t] = -np.linalg.solve(Q[nx:, nx:], Q[nx:, :nx]), -np.linalg.solve(Q[nx:, nx:], q[nx:])
        V[t], v[t] = Q[:nx, :nx] + Q[:nx, nx:] @ K[t], q[:nx] + Q[:nx, nx:] @ k[t]
        V[t] = 0.5 * (V[t] + V[t].T)
        constant[t] = (
            constant[t + 1]
            + 0.5 * f @ V[t + 1] @ f
            + v[t + 1] @ f
            + 0.5 * q[nx:] @ k[t]
            + 0.5 * np.sum(V[t + 1] * Sigma)
        )
    return LinearQuadraticSolution(K, k, V, v, constant)
