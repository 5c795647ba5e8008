r"""A Gaussian over every parameter of a network of gaussian_networks.py, and its evidence lower bound.

    q(theta) = prod_i N(mu_i, sigma_i^2),    p(theta) = prod_i N(0, s_g(i)^2),    g(i): the group of i
    F(mu, sigma) = KL(q || p) / N - E_q [mean over the rows of log p(d | z, theta)]

is minimized (Graves 2011; Blundell et al. 2015). The expectation is estimated with one sample for each row, not of the
weights, which all rows would share, but of what a layer makes of them (Kingma, Salimans and Welling 2015),
for y = W^T h + b

    y_j ~ N(sum_i h_i mu_ij + mu_bj,  sum_i h_i^2 sigma_ij^2 + sigma_bj^2)

whose gradient has a far smaller variance. The widths s_g are those that minimize F (empirical Bayes, MacKay 1992),

    s_g^2 = mean over the group of mu^2 + sigma^2,    KL = sum_g n_g log s_g - sum_i log sigma_i

so that no scale of a weight is assumed. A group is all that leaves one unit, divided in the last layer into what goes
to the mean and what goes to the variance (automatic relevance determination, Neal 1996): a unit that is of no use costs
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gaussian_networks import NetworkShape, Real

FIRST_SIGMA, LEAST_WIDTH = 0.003, 1e-6  # of a parameter to begin with; of a group


@dataclass(frozen=True, eq=False, slots=True)
class Noise:
    """Standard normal numbers for N rows: first and second (N, hidden), out (N, 2 outputs)."""

    first: Real
    second: Real
    out: Real


def noise_for(shape: NetworkShape, N: int, rng: np.random.Generator) -> Noise:
    """Draw the noise of N rows."""
    h = shape.hidden
    drawn = rng.standard_normal((N, 2 * h + 2 * shape.outputs), dtype=np.float32)
    return Noise(drawn[:, :h], drawn[:, h : 2 * h], drawn[:, 2 * h :])


def groups(shape: NetworkShape) -> NDArray[np.int64]:
    """Return the group (size,) of each parameter, from 0."""
    found, start = np.zeros((1, shape.size), dtype=np.int64), 0
    for name, part in shape.views(found).items():
        rows = np.arange(part.shape[1])[:, None]
        part[0], start = start + rows, start + len(rows)
        if name in ("W3", "b3"):
            part[0, :, shape.outputs :], start = start + rows, start + len(rows)
    group: NDArray[np.int64] = found[0]
    return group


def divergence(group: NDArray[np.int64], mu: Real, rho: Real, by_mu: Real, by_rho: Real) -> float:
    """Return KL(q || p) [nats] with sigma = exp(rho), and write its derivatives (size,)."""
    sigma2 = np.exp(2.0 * rho)
    count = np.bincount(group)
    width2 = np.bincount(group, weights=mu.astype(np.float64) ** 2 + sigma2) / count + LEAST_WIDTH**2
    inverse = (1.0 / width2)[group]
    by_mu[:] = mu * inverse
    by_rho[:] = sigma2 * inverse - 1.0
    return float(0.5 * np.sum(count * np.log(width2)) - np.sum(rho, dtype=np.float64))


def bound(shape: NetworkShape, mu: Real, rho: Real, z: Real, d: Real, noise: Noise, by_mu: Real, by_rho: Real) -> float:
    """Return the loss of the rows z (B, inputs), d (B, outputs) with this noise, and write its derivatives.

    The loss is -mean log p(d | z, theta) without its constant; mu, rho and what is written are (size,).
    """
    M, S, G, V = (_flat(shape, part) for part in (mu, np.exp(2.0 * rho), by_mu, by_rho))
    B, o = len(z), shape.outputs
    z2 = z * z
    first, s1 = _sampled(z @ M["W1"] + M["b1"], z2 @ S["W1"] + S["b1"], noise.first)
    np.tanh(first, out=first)
    first2 = first * first
    second, s2 = _sampled(first @ M["W2"] + M["b2"], first2 @ S["W2"] + S["b2"], noise.second)
    np.tanh(second, out=second)
    second2 = second * second
    m, v = second @ M["W3"] + M["b3"], second2 @ S["W3"] + S["b3"]
    m[:, :o] += z @ M["L"]
    v[:, :o] += z2 @ S["L"]
    out, s3 = _sampled(m, v, noise.out)
    width = 0.5 * (shape.high - shape.low)
    bend = np.tanh(out[:, o:] / width)
    log_variance = 0.5 * (shape.low + shape.high) + width * bend
    precision, error = np.exp(-log_variance), out[:, :o] - d
    scaled = error * precision
    loss = float(0.5 * np.sum(log_variance + error * scaled) / B)
    dm = np.concatenate([scaled / B, (0.5 / B * (1.0 - error * scaled)) * (1.0 - bend * bend)], axis=1)
    dv = dm * noise.out * s3
    d_mean, d_variance = dm[:, :o], dv[:, :o]
    G["L"][:], V["L"][:] = z.T @ d_mean, z2.T @ d_variance
    dh = _layer(second, second2, dm, dv, "3", M, S, G, V) * (1.0 - second2)
    dh = _layer(first, first2, dh, dh * noise.second * s2, "2", M, S, G, V) * (1.0 - first2)
    _layer(z, z2, dh, dh * noise.first * s1, "1", M, S, G, V)
    by_rho *= 2.0 * np.exp(2.0 * rho)  # from sigma^2 to rho
    return loss


def _flat(shape: NetworkShape, theta: Real) -> dict[str, Real]:
    return {name: part[0] for name, part in shape.views(theta[None]).items()}


def _sampled(m: Real, v: Real, noise: Real) -> tuple[Real, Real]:
    """Return m + sqrt(v) noise, and 1 / (2 sqrt(v))."""
    deviation = np.sqrt(v)
    return m + deviation * noise, 0.5 / deviation


def _layer(
    h: Real,
    h2: Real,
    dm: Real,
    dv: Real,
    number: str,
    M: dict[str, Real],
    S: dict[str, Real],
    G: dict[str, Real],
    V: dict[str, Real],
) -> Real:
    """Write the derivatives by mean and variance of W and b of a layer; return that by its input h (B, inputs)."""
    W, b = f"W{number}", f"b{number}"
    np.matmul(h.T, dm, out=G[W])
    np.matmul(h2.T, dv, out=V[W])
    dm.sum(axis=0, keepdims=True, out=G[b])
    dv.sum(axis=0, keepdims=True, out=V[b])
    by_input: Real = dm @ M[W].T + 2.0 * h * (dv @ S[W].T)
    return by_input
