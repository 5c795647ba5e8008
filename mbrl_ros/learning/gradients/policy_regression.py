r"""A policy fitted to the commands of other controllers, weighted by how sure these are of them.

    min_theta  1/N sum_i 1/2 (u_theta(x_i) - u_i)^T W_i (u_theta(x_i) - u_i) + ridge/2 |theta|^2

with u_theta of network_policy.py. Of the two directions of a divergence between Gaussians it is the part of
KL(pi_theta || p) that depends on the mean of pi_theta (Levine & Abbeel, NIPS 2014). Solved by L-BFGS.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from ...types import Array
from .network_policy import NetworkPolicy


def fit_policy(
    policy: NetworkPolicy, theta: Array, X: Array, U: Array, W: Array, ridge: float, iterations: int
) -> Array:
    """Return theta (size,), begun at `theta`.

    X (N, nx) states; U (N, outputs) the commands to be given there; W (N, outputs, outputs) their weights.
    """
    s = policy.inputs_of(X)

    def loss(at: Array) -> tuple[float, Array]:
        return regression_loss(policy, at, s, U, W, ridge)

    found: Array = minimize(loss, theta, jac=True, method="L-BFGS-B", options={"maxiter": iterations}).x
    return found


def regression_loss(
    policy: NetworkPolicy, theta: Array, s: Array, U: Array, W: Array, ridge: float
) -> tuple[float, Array]:
    """Return the objective at theta and its gradient; s (N, inputs), see `fit_policy`."""
    part, N = policy.parts(theta), len(s)
    middle, half = policy.limits()
    v = s @ part["K"].T + part["b"][:, 0]
    h = np.zeros((N, 0))
    if "W1" in part:
        h = np.tanh(s @ part["W1"].T + part["b1"][:, 0])
        v = v + h @ part["W2"].T
    y = np.tanh(v)
    e = middle + half * y - U
    pull = np.einsum("nij,nj->ni", W, e)
    gradient = ridge * theta
    d = policy.parts(gradient)
    dv = pull * half * (1.0 - y * y) / N
    d["K"] += dv.T @ s
    d["b"] += dv.sum(axis=0)[:, None]
    if "W1" in part:
        dh = (dv @ part["W2"]) * (1.0 - h * h)
        d["W2"] += dv.T @ h
        d["W1"] += dh.T @ s
        d["b1"] += dh.sum(axis=0)[:, None]
    return 0.5 * float(np.sum(e * pull)) / N + 0.5 * ridge * float(theta @ theta), gradient
