r"""The mean of a Gaussian mixture as an expression of its parameters (see gmm.py for the symbols).

In scaled coordinates, with r = softmax(log pi_k |Sigma_k,vv|^-1/2 + g_k^T (v - mu_k) / 2), e_k = A_k v + b_k,
h_k = g_k - sum_j r_j g_j, and for a weight s: w_k = s^T e_k, c_k = A_k^T s, P_k = Sigma_k,vv^-1,

    delta   = sum_k r_k e_k
    D       = sum_k r_k (A_k + e_k h_k^T)
    C       = sum_k r_k (c_k h_k^T + h_k c_k^T + (w_k - sum_j r_j w_j) (h_k h_k^T - P_k))
"""

from __future__ import annotations

import functools

import numpy as np

from ...codegen.symbolic import casadi
from ...types import Array
from .expression import MeanExpression


def mean_expression(
    log_weight: Array, mean: Array, precision: Array, slope: Array, offset: Array, *scales: Array
) -> MeanExpression:
    """Return delta and its derivatives.

    Parameters
    ----------
    log_weight, mean, precision
        log pi_k |Sigma_k,vv|^-1/2 (K,), mu_k,v (K, 3n), P_k (K, 3n, 3n).
    slope, offset
        A_k (K, n, 3n), b_k (K, n).
    scales
        Center (4n,) and scale (4n,) of [q; qd; u; delta].
    """
    K, n, d = slope.shape
    i, j = np.triu_indices(d)  # by rows: the order of a lower triangle in CasADi
    arrays = [log_weight, mean, precision[:, i, j], slope, offset, *scales]
    theta = casadi.SX.sym("theta", sum(a.size for a in arrays))
    ends = np.cumsum([a.size for a in arrays])[:-1]
    logs, means, precisions, slopes, offsets, center, scale = casadi.vertsplit(
        theta, [0, *map(int, ends), theta.numel()]
    )
    x, u, s = casadi.SX.sym("x", 2 * n), casadi.SX.sym("u", n), casadi.SX.sym("s", n)
    v, up, down = (casadi.vertcat(x, u) - center[:d]) / scale[:d], scale[d:], 1.0 / scale[:d]
    P, g, A, e, score = [], [], [], [], []
    for k in range(K):
        lower = casadi.SX(casadi.Sparsity.lower(d), precisions[k * len(i) : (k + 1) * len(i)])
        away = v - means[k * d : (k + 1) * d]
        P.append(casadi.tril2symm(lower))
        g.append(-(P[k] @ away))
        A.append(casadi.reshape(slopes[k * n * d : (k + 1) * n * d], d, n).T)
        e.append(A[k] @ v + offsets[k * n : (k + 1) * n])
        score.append(logs[k] + 0.5 * casadi.dot(g[k], away))
    largest = functools.reduce(casadi.fmax, score)
    shares = [casadi.exp(value - largest) for value in score]
    r = [share / sum(shares) for share in shares]

    def mixed(parts: list[casadi.SX]) -> casadi.SX:
        """Return sum_k r_k parts_k."""
        return sum((r_k * part for r_k, part in zip(r, parts, strict=True)), casadi.SX(*parts[0].shape))

    middle = mixed(g)
    h, weighted = [g_k - middle for g_k in g], up * s
    w, c = [casadi.dot(weighted, e_k) for e_k in e], [A_k.T @ weighted for A_k in A]
    average = mixed(w)
    bent = [
        c_k @ h_k.T + h_k @ c_k.T + (w_k - average) * (h_k @ h_k.T - P_k)
        for c_k, h_k, w_k, P_k in zip(c, h, w, P, strict=True)
    ]
    D = casadi.diag(up) @ mixed([A_k + e_k @ h_k.T for A_k, e_k, h_k in zip(A, e, h, strict=True)]) @ casadi.diag(down)
    C = mixed([casadi.tril(b) for b in bent]) * casadi.tril(down @ down.T)
    values = np.concatenate([a.ravel() for a in arrays])
    return MeanExpression(x, u, theta, s, center[d:] + up * mixed(e), D, C, values)
