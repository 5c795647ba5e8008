r"""M networks of one shape side by side, each the mean and the variance of a Gaussian, and their likelihood.

    h = tanh(W2 tanh(W1 z + b1) + b2),    mean = W3 h + b3 + L z,    s = W4 h + b4
    log variance = c + w tanh(s / w),     c, w = middle and half width of its bounds

so that the variance stays between its bounds and its gradient never vanishes for good. The loss of a member is

    1/2 sum_j [log variance_j + (d_j - mean_j)^2 / variance_j], averaged over the rows (z, d),

the negative logarithm of the likelihood without its constant (Nix and Weigend 1994). The linear skip L lets the mean
be a linear model, which is hard to beat on little data. A member's parameters are one row of an array, so that the
members are trained in the same matrix products and the optimizer sees one array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[Any]  # float32 where it is fast, float64 where it is checked


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of z, of both hidden layers and of d, and the bounds of the log variance."""

    inputs: int
    hidden: int
    outputs: int
    low: float
    high: float

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """{name of an array: its shape}, in their order in a row of parameters."""
        i, h, o = self.inputs, self.hidden, 2 * self.outputs
        return {"W1": (i, h), "b1": (1, h), "W2": (h, h), "b2": (1, h), "W3": (h, o), "b3": (1, o), "L": (i, o // 2)}

    @property
    def size(self) -> int:
        """The number of parameters of a member."""
        return sum(math.prod(shape) for shape in self.parts.values())

    def views(self, theta: Real) -> dict[str, Real]:
        """Return {name: (M, *shape)}, views of the parameters theta (M, size)."""
        found, start = {}, 0
        for name, shape in self.parts.items():
            count = math.prod(shape)
            found[name] = theta[:, start : start + count].reshape(len(theta), *shape)
            start += count
        return found

    def initial(self, members: int, rng: np.random.Generator) -> Real:
        """Return parameters (M, size) to begin with: the hidden layers random, the mean 0, the variance amid."""
        theta = np.zeros((members, self.size))
        W = self.views(theta)
        for name, inputs in (("W1", self.inputs), ("W2", self.hidden)):
            W[name][:] = rng.normal(0.0, inputs**-0.5, W[name].shape)
        W["b1"][:] = rng.normal(0.0, 0.5, W["b1"].shape)
        W["W3"][:] = rng.normal(0.0, 0.1 * self.hidden**-0.5, W["W3"].shape)
        return theta


def forward(shape: NetworkShape, W: dict[str, Real], z: Real) -> tuple[Real, Real, tuple[Real, ...]]:
    """Return mean and log variance (M, N, outputs) at z (M, N, inputs), and what the gradient needs of the way."""
    first = np.matmul(z, W["W1"])
    first += W["b1"]
    np.tanh(first, out=first)
    second = np.matmul(first, W["W2"])
    second += W["b2"]
    np.tanh(second, out=second)
    out = np.matmul(second, W["W3"])
    out += W["b3"]
    mean = out[..., : shape.outputs] + np.matmul(z, W["L"])
    width = 0.5 * (shape.high - shape.low)
    bend = np.tanh(out[..., shape.outputs :] / width)
    return mean, 0.5 * (shape.low + shape.high) + width * bend, (first, second, bend)


def losses(shape: NetworkShape, theta: Real, z: Real, d: Real) -> Real:
    """Return the loss (M, N) of each row (z, d), (M, N, inputs) and (M, N, outputs)."""
    mean, log_variance, _ = forward(shape, shape.views(theta), z)
    each: Real = 0.5 * (log_variance + (d - mean) ** 2 * np.exp(-log_variance)).sum(axis=-1)
    return each


def gradient(shape: NetworkShape, theta: Real, z: Real, d: Real, out: Real) -> None:
    """Write the gradient of each member's loss, averaged over its rows, to `out` (M, size); see `losses`."""
    W, G = shape.views(theta), shape.views(out)
    mean, log_variance, (first, second, bend) = forward(shape, W, z)
    precision = np.exp(-log_variance)
    error = mean - d
    by_mean = error * precision / z.shape[1]
    by_s = (0.5 / z.shape[1] * (1.0 - error**2 * precision)) * (1.0 - bend**2)
    by_out = np.concatenate([by_mean, by_s], axis=-1)
    by_second = np.matmul(by_out, W["W3"].swapaxes(1, 2)) * (1.0 - second**2)
    by_first = np.matmul(by_second, W["W2"].swapaxes(1, 2)) * (1.0 - first**2)
    for name, at, by in (("W1", z, by_first), ("W2", first, by_second), ("W3", second, by_out), ("L", z, by_mean)):
        np.matmul(at.swapaxes(1, 2), by, out=G[name])
    for name, by in (("b1", by_first), ("b2", by_second), ("b3", by_out)):
        by.sum(axis=1, keepdims=True, out=G[name])
