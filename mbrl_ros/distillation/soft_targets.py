r"""A student of discrete choices, learned from soft targets: which of K options, from features x.

A teacher scores the options, z (K,), for instance by the negative costs of K plans. Its softened choice is

    p_k = exp(z_k / T) / sum_j exp(z_j / T),

which tells how much better the best option was than the others; T -> 0 tells only which one it was. The student, logits
y = W_2 s(W_1 x + b_1) + b_2 with s(a) = a / sqrt(1 + a^2), minimises the cross entropy at the same temperature,

    T^2 / N sum_i -p_i^T log softmax(y_i / T) + decay/2 |theta|^2        (Hinton, Vinyals & Dean, arXiv 1503.02531)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..exceptions import DataError
from ..types import Array
from .student import squash

CONSTANT = 1e-9  # deviation of a feature, over its size, below which it does not vary


def soft_targets(z: Array, temperature: float) -> Array:
    """Return p (N, K) of scores z (N, K) at a temperature T > 0."""
    e = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
    p: Array = e / e.sum(axis=1, keepdims=True)
    return p


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """A trained student of K options: W1 (h, m), b1 (h,), W2 (K, h), b2 (K,); mean and deviation (m,) whiten x."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    mean: Array
    deviation: Array

    def logits(self, x: Array) -> Array:
        """Return y (N, K) for x (N, m)."""
        y: Array = squash((x - self.mean) / self.deviation @ self.W1.T + self.b1) @ self.W2.T + self.b2
        return y

    def best(self, x: Array) -> NDArray[np.int64]:
        """Return the numbers of the chosen options (N,) for x (N, m)."""
        best: NDArray[np.int64] = self.logits(x).argmax(axis=1)
        return best


def fit_choice(
    x: Array,
    z: Array,
    temperature: float,
    *,
    units: int = 16,
    decay: float = 1e-4,
    iterations: int = 200,
    seed: int = 0,
) -> Choice:
    """Train a student; deterministic given seed and data.

    Parameters
    ----------
    x : (N, m) features
    z : (N, K) the teacher's scores of the options
    temperature : T
    units : h, hidden units
    decay : weight of |theta|^2 / 2

    Raises
    ------
    DataError : x or z is malformed
    """
    if (
        x.ndim != 2
        or z.ndim != 2
        or len(x) != len(z)
        or z.shape[1] < 2
        or not (np.isfinite(x).all() and np.isfinite(z).all())
    ):
        raise DataError(f"choices need finite rows x (N, m) and scores z (N, K >= 2), got {x.shape} and {z.shape}")
    mean, deviation, p = x.mean(axis=0), x.std(axis=0), soft_targets(z, temperature)
    deviation = np.where(deviation > CONSTANT * np.maximum(1.0, np.abs(mean)), deviation, 1.0)
    white, (m, K), T = (x - mean) / deviation, (x.shape[1], z.shape[1]), temperature
    shapes = [(units, m), (units,), (K, units), (K,)]
    cuts = np.cumsum([int(np.prod(s)) for s in shapes])

    def parts(theta: Array) -> list[Array]:
        return [part.reshape(s) for part, s in zip(np.split(theta, cuts[:-1]), shapes, strict=True)]

    def objective(theta: Array) -> tuple[float, Array]:
        W1, b1, W2, b2 = parts(theta)
        a = white @ W1.T + b1
        h = squash(a)
        y = (h @ W2.T + b2) / T
        y = y - y.max(axis=1, keepdims=True)
        log_q = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
        dy = T * (np.exp(log_q) - p) / len(x)
        da = (dy @ W2) * (1.0 + a * a) ** -1.5
        gradient = np.concatenate([(da.T @ white).ravel(), da.sum(0), (dy.T @ h).ravel(), dy.sum(0)])
        value = -T * T * float((p * log_q).sum()) / len(x) + float(0.5 * decay * theta @ theta)
        return value, gradient + decay * theta

    start = 0.5 * np.random.default_rng(seed).standard_normal(cuts[-1])
    theta = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations}).x
    W1, b1, W2, b2 = parts(theta)
    return Choice(W1=W1, b1=b1, W2=W2, b2=b2, mean=mean, deviation=deviation)
