r"""The mean of an ensemble of networks as an expression of its parameters (see ensemble.py for the symbols).

The hidden layers of all members are stacked, and the scales are part of the weights:

    t = tanh(W1 phi + b1),    delta = W2 t + L phi + b2,    phi = [sin q; cos q; qd; u; tanh(qd / qd_scale)]

With B = W1 dphi/dz, gates 1 - t^2, and for a weight s: c = W2^T s, y = W1^T (c gates) + L^T s,

    D = W2 diag(gates) B + L dphi/dz
    C = -2 B^T diag(c t gates) B + diag(y^T d^2 phi/dz^2)
"""

from __future__ import annotations

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array
from .expression import MeanExpression


def mean_expression(a: dict[str, Array], n: int) -> MeanExpression:
    """Return delta and its derivatives for n joints, of the arrays of an ensemble (see `ensemble.fit`)."""
    arrays = _stacked(a, n)
    theta = casadi.SX.sym("theta", sum(value.size for value in arrays))
    ends = np.cumsum([value.size for value in arrays])[:-1]
    parts = casadi.vertsplit(theta, [0, *map(int, ends), theta.numel()])
    # numpy's rows are CasADi's columns
    W1, b1, W2, b2, L, qd_scale = (
        casadi.reshape(part, *value.shape[::-1]).T if value.ndim == 2 else part
        for part, value in zip(parts, arrays, strict=True)
    )
    x, u, s = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("s", n)
    sin, cos, sign = casadi.sin(x[:n]), casadi.cos(x[:n]), _tanh(x[n:] / qd_scale)
    slope = (1.0 - sign**2) / qd_scale
    phi = casadi.vertcat(sin, cos, x[n:], u, sign)

    def by_input(W: casadi.SX) -> casadi.SX:
        """Return W dphi/dz (rows, 3n)."""
        S, Co, V, U, T = casadi.horzsplit(W, n)
        S, Co, T = (part @ casadi.diag(by) for part, by in ((S, cos), (Co, sin), (T, slope)))
        return casadi.horzcat(S - Co, V + T, U)

    t = _tanh(W1 @ phi + b1)
    gates, B = 1.0 - t**2, by_input(W1)
    c = W2.T @ s
    y = W1.T @ (c * gates) + L.T @ s
    curved = casadi.vertcat(-y[:n] * sin - y[n : 2 * n] * cos, -2.0 * y[4 * n :] * sign * slope / qd_scale)
    weights = -2.0 * c * t * gates
    # column by column, the lower triangle only
    bent = [B[:, j:].T @ (weights * B[:, j]) for j in range(3 * n)]
    C = casadi.SX(casadi.Sparsity.lower(3 * n), casadi.vertcat(*bent))
    C += casadi.diag(casadi.vertcat(curved, casadi.SX.zeros(n)))
    D = W2 @ (casadi.repmat(gates, 1, 3 * n) * B) + by_input(L)
    values = np.concatenate([value.ravel() for value in arrays])
    return MeanExpression(x, u, theta, s, W2 @ t + L @ phi + b2, D, C, values)


def _stacked(a: dict[str, Array], n: int) -> list[Array]:
    """Return W1, b1, W2, b2, L of all members side by side, of phi and delta as they are, and qd_scale."""
    members, hidden, inputs = a["W1"].shape
    W1 = a["W1"].reshape(members * hidden, inputs) / a["scale"]
    W2 = a["d_scale"][:, None] * np.hstack(list(a["W2"])) / members
    L = a["d_scale"][:, None] * a["L"].mean(axis=0) / a["scale"]
    b2 = a["d_scale"] * a["b2"].mean(axis=0) - L @ a["centre"]
    return [W1, a["b1"].ravel() - W1 @ a["centre"], W2, b2, L, a["qd_scale"]]


def _tanh(z: casadi.SX) -> casadi.SX:
    """Return tanh z by exp, which vector units have."""
    return 1.0 - 2.0 / (1.0 + casadi.exp(2.0 * z))
