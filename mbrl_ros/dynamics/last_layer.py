r"""Bayesian linear regression on what a trained network has made of its inputs: the posterior of its last layer.

    d_j = w_j^T phi(z) + e_j,   phi = [units of the second hidden layer; z; 1],   e_j ~ N(0, variance_j(z)),
    w_j ~ N(0, I / alpha_j),    p(w_j | D) = N(m_j, A_j^-1),
    A_j = alpha_j I + Phi^T R_j^-1 Phi,   m_j = A_j^-1 Phi^T R_j^-1 d_j,   R_j = diag of the rows' variances

with alpha_j where the evidence is largest (MacKay 1992): alpha_j = gamma_j / |m_j|^2 with the number of parameters that
the data determine, gamma_j = D - alpha_j tr A_j^-1. The variance is that of the network, whose offset is fitted again
to what the regression leaves, with N - gamma_j degrees of freedom. What is before the last layer is taken as it is, so
that ignorance of it does not count.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from ..types import Array
from .gaussian_ensemble import GaussianEnsemble
from .gaussian_networks import NetworkShape, forward

EVIDENCE_STEPS, LEAST_ALPHA, LARGEST_ALPHA = 30, 1e-6, 1e6
NOISE_ROUNDS, LARGEST_OFFSET = 3, 10.0  # of weights and noise in turn; of the log variance


class LastLayer:
    """The posterior of the last layer of `network` (an ensemble of one) after the rows z (N, inputs), d (N, outputs).

    mean (outputs, D), covariance (outputs, D, D): of the weights of phi, standardized; alpha (outputs,).
    """

    def __init__(self, network: GaussianEnsemble, z: Array, d: Array):
        self.shape, self.scales = network.shape, network.scales
        self._theta = network.theta
        standard, target = self.scales.standard(z, d)
        W = self.shape.views(self._theta)
        _, _, (_, second, bend) = forward(self.shape, W, standard[None])
        phi = np.concatenate([second[0], standard, np.ones((len(z), 1))], axis=1).astype(np.float64)
        s = np.arctanh(np.clip(bend[0].astype(np.float64), -1.0 + 1e-7, 1.0 - 1e-7))
        each = [_regress_both(self.shape, phi, target[:, j].astype(np.float64), s[:, j]) for j in range(s.shape[1])]
        self.mean, self.covariance, self.alpha, offset = (np.array(part) for part in zip(*each, strict=True))
        W["b3"][0, 0, self.shape.outputs :] += offset
        self._factor = np.linalg.cholesky(self.covariance)

    def sample(self, members: int, rng: np.random.Generator) -> GaussianEnsemble:
        """Draw `members` networks that differ in their last layer."""
        shape, o = self.shape, self.shape.outputs
        white = rng.standard_normal((members, o, self.mean.shape[1], 1))
        w = (self.mean + np.matmul(self._factor, white)[..., 0]).swapaxes(1, 2)  # (members, D, outputs)
        theta = np.repeat(self._theta, members, axis=0)
        W = shape.views(theta)
        W["W3"][..., :o], W["L"][:], W["b3"][..., :o] = np.split(w, [shape.hidden, shape.hidden + shape.inputs], axis=1)
        return GaussianEnsemble(shape, theta, self.scales)


def _regress_both(shape: NetworkShape, phi: Array, d: Array, s: Array) -> tuple[Array, Array, float, float]:
    """Return what `regress` does, and the offset of the log variance, before its bounds, for one output.

    s (N,): the log variance before its bounds, in half widths of them.
    """
    middle, width, N, offset = 0.5 * (shape.low + shape.high), 0.5 * (shape.high - shape.low), len(d), 0.0

    def log_variance(offset: float) -> Array:
        bounded: Array = middle + width * np.tanh(s + offset / width)
        return bounded

    for _ in range(NOISE_ROUNDS):
        mean, covariance, alpha = regress(phi, d, np.exp(-log_variance(offset)))
        gamma, error = len(mean) - alpha * np.trace(covariance), d - phi @ mean
        free = max(1.0 - gamma / N, 1.0 / N)

        def loss(offset: float, free: float = free, error: Array = error) -> float:
            log = log_variance(offset)
            return float(np.mean(free * log + error**2 * np.exp(-log)))

        offset = float(minimize_scalar(loss, bounds=(-LARGEST_OFFSET, LARGEST_OFFSET), method="bounded").x)
    mean, covariance, alpha = regress(phi, d, np.exp(-log_variance(offset)))
    return mean, covariance, alpha, offset


def regress(phi: Array, d: Array, weights: Array) -> tuple[Array, Array, float]:
    """Return mean (D,), covariance (D, D) and alpha of the weights of phi (N, D) after d (N,) of precisions (N,)."""
    values, vectors = np.linalg.eigh(phi.T @ (weights[:, None] * phi))
    values = np.maximum(values, 0.0)
    seen = vectors.T @ (phi.T @ (weights * d))
    alpha = 1.0
    for _ in range(EVIDENCE_STEPS):
        gamma, m = float(np.sum(values / (values + alpha))), seen / (values + alpha)
        alpha = float(np.clip(gamma / max(float(m @ m), 1e-300), LEAST_ALPHA, LARGEST_ALPHA))
    return vectors @ (seen / (values + alpha)), (vectors / (values + alpha)) @ vectors.T, alpha
