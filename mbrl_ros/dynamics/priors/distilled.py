r"""The prior `distilled`: one network with a mean and a variance in place of a bootstrap ensemble (ensemble.py).

    h = tanh(W1 phi + b1),    mean = (W2 h + b2 + L phi) * d_scale,
    log variance = c + w tanh((V [h; r] + v) / w),    r = log(1 + |phi|^2),    in units of d_scale,

c and w the middle and half width of its bounds. r lets the variance grow away from the data, where h is constant.

`fit` trains an ensemble first and then the network, as wide as one member, on the Gaussian of the members' mean M and
variance S (their disagreement): it minimises KL(N(M, S) || N(mean, variance)) up to a constant,

    1/2 sum_j [log variance_j + (S_j + (mean_j - M_j)^2) / variance_j],

over the data and over rows whose coordinates come from two of them, up to WIDER times as far from the mean, which have
no label of their own: that is where members disagree (Hinton, Vinyals & Dean 2015; Malinin, Mlodozeniec & Gales, ICLR
2020). Mean and Jacobian cost what one member of the ensemble costs.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ...config.section import Section, setting
from ...data.dataset import Dataset
from ...robots import Robot
from ...types import Array, CommandVector, JointVector
from ..adam import Adam
from . import ensemble
from .base import Prior
from .ensemble import EPOCHS, HIDDEN, MEMBERS, MOST_EXPRESSED_UNITS, EnsemblePrior, features
from .learned import Progress, length_of, load_model, require, require_at_most, require_positive, spread_of

STUDENT_UPDATES, STUDENT_BATCH, STUDENT_RATE = (
    30000,
    64,
    3e-3,
)  # of the network's training: steps, rows of each, the first step size of Adam
MIXED_ROWS, WIDER = 20000, 3.0  # rows asked of the ensemble; largest factor on a mixed row's distance from the mean
LOW_LOG, HIGH_LOG = 2.0 * math.log(1e-4), 2.0 * math.log(10.0)  # bounds of the log variance, in units of d_scale^2
STUDENT_STREAM = 1  # beside a seed: the draws of the network are independent of those of the ensemble


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The distilled network."""

    file: str = setting("", "the distilled network (mbrl fit-prior)")
    spread_scale: float = setting(1.0, "factor on the spread found when it was fitted", low=1e-6, high=1e6)


def fit(
    data: Dataset,
    u_scale: CommandVector,
    progress: Progress | None = None,
    *,
    members: int = MEMBERS,
    epochs: int = EPOCHS,
    updates: int = STUDENT_UPDATES,
    seed: int = 0,
) -> dict[str, Array]:
    """Return the network's arrays: those of an ensemble of one member, and V (n, h + 1), v (n,) of its variance."""
    teachers = ensemble.fit(data, u_scale, progress, members=members, epochs=epochs, seed=seed)
    return distil(teachers, data, updates=updates, seed=seed)


def distil(
    teachers: dict[str, Array], data: Dataset, *, updates: int = STUDENT_UPDATES, seed: int = 0
) -> dict[str, Array]:
    """Return the network of an ensemble's arrays `teachers` and the data that it was fitted to."""
    rng = np.random.default_rng([seed, STUDENT_STREAM])
    shapes = _shapes(teachers["W1"].shape[2], teachers["W2"].shape[1])
    theta = np.zeros(sum(math.prod(shape) for shape in shapes.values()))
    W, slope = _views(theta, shapes), np.zeros_like(theta)
    W["W1"][:] = rng.normal(0.0, shapes["W1"][1] ** -0.5, shapes["W1"])
    W["W2"][:] = rng.normal(0.0, 0.1 * HIDDEN**-0.5, shapes["W2"])
    Phi = (features(*_asked(data, rng), teachers["qd_scale"]) - teachers["centre"]) / teachers["scale"]
    M, S = _moments(teachers, Phi)
    adam, G = Adam(theta, STUDENT_RATE, updates), _views(slope, shapes)
    for _ in range(updates):
        rows = rng.integers(len(Phi), size=STUDENT_BATCH)
        _gradient(W, G, Phi[rows], M[rows], S[rows])
        adam.step(theta, slope)
    scales = {name: teachers[name] for name in ("centre", "scale", "d_scale", "qd_scale")}
    mean = {name: W[name][None].copy() for name in ensemble.NETWORK_ARRAYS}
    return {**mean, "V": W["V"].copy(), "v": W["v"].copy(), **scales, "spread_scale": np.array(1.0)}


def _shapes(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Return {name of an array: its shape}, in their order in the parameters."""
    i, h, o = inputs, HIDDEN, outputs
    return {"W1": (h, i), "b1": (h,), "W2": (o, h), "b2": (o,), "L": (o, i), "V": (o, h + 1), "v": (o,)}


def _views(theta: Array, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])[:-1]
    return {name: part.reshape(shapes[name]) for name, part in zip(shapes, np.split(theta, ends), strict=True)}


def _asked(data: Dataset, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return states (N, 2n) and commands (N, n) of the ensemble's labels: half of the data, half mixed and widened."""
    first, second = rng.integers(len(data), size=(2, MIXED_ROWS))
    Z = np.hstack([data.X, data.U])
    z, mean = Z[first], Z.mean(axis=0)
    half = MIXED_ROWS // 2
    mixed = np.where(rng.random((half, z.shape[1])) < 0.5, Z[second[:half]], z[:half])
    z[:half] = mean + rng.uniform(1.0, WIDER, (half, 1)) * (mixed - mean)
    return z[:, : data.X.shape[1]], z[:, data.X.shape[1] :]


def _moments(teachers: dict[str, Array], Phi: Array) -> tuple[Array, Array]:
    """Return mean and variance (N, n) over the members, in units of d_scale."""
    hidden = np.tanh(np.matmul(Phi, teachers["W1"].swapaxes(1, 2)) + teachers["b1"][:, None])
    each = np.matmul(hidden, teachers["W2"].swapaxes(1, 2)) + teachers["b2"][:, None]
    each += np.matmul(Phi, teachers["L"].swapaxes(1, 2))
    return each.mean(axis=0), each.var(axis=0)


def _gradient(W: dict[str, Array], G: dict[str, Array], Phi: Array, M: Array, S: Array) -> None:
    """Write the gradient of the loss, averaged over the rows Phi (N, inputs), M and S (N, n), to G."""
    hidden = np.tanh(Phi @ W["W1"].T + W["b1"])
    error = hidden @ W["W2"].T + W["b2"] + Phi @ W["L"].T - M
    wide = _with_distance(hidden, Phi)
    log_variance, bend = _log_variance(W["V"], W["v"], wide)
    precision = np.exp(-log_variance)
    by_mean = error * precision / len(Phi)
    by_log = 0.5 / len(Phi) * (1.0 - (S + error**2) * precision) * (1.0 - bend**2)
    by_hidden = (by_mean @ W["W2"] + by_log @ W["V"][:, :-1]) * (1.0 - hidden**2)
    for name, by, at in (("W1", by_hidden, Phi), ("W2", by_mean, hidden), ("L", by_mean, Phi), ("V", by_log, wide)):
        np.matmul(by.T, at, out=G[name])
    for name, by in (("b1", by_hidden), ("b2", by_mean), ("v", by_log)):
        by.sum(axis=0, out=G[name])


def _with_distance(hidden: Array, phi: Array) -> Array:
    """Return [h; r] (..., h + 1) of the hidden layer (..., h) at phi (..., inputs)."""
    return np.concatenate([hidden, np.log1p((phi**2).sum(axis=-1, keepdims=True))], axis=-1)


def _log_variance(V: Array, v: Array, wide: Array) -> tuple[Array, Array]:
    """Return the log variance in units of d_scale^2, and its tanh, which the gradient needs."""
    width = 0.5 * (HIGH_LOG - LOW_LOG)
    bend = np.tanh((wide @ V.T + v) / width)
    return 0.5 * (LOW_LOG + HIGH_LOG) + width * bend, bend


class DistilledPrior(EnsemblePrior):
    """The distilled network; its variance stands for the members' disagreement."""

    def disagreement(self, x: Array, u: CommandVector) -> JointVector:
        """Return the standard deviation (n,) of delta [rad/s per tick] that the ensemble had, as the network tells."""
        a = self._arrays
        phi = (features(x[None], u[None], a["qd_scale"])[0] - a["centre"]) / a["scale"]
        hidden = np.tanh(a["W1"][0] @ phi + a["b1"][0])
        std: JointVector = np.exp(0.5 * _log_variance(a["V"], a["v"], _with_distance(hidden, phi))[0]) * a["d_scale"]
        return std


def from_arrays(arrays: dict[str, Array], robot: Robot, dt: float, spread_scale: float = 1.0) -> DistilledPrior:
    """Make the prior of what `fit` returned; DataError if that does not fit the robot."""
    n = len(robot.joints)
    hidden = arrays["W1"].shape[1] if length_of(arrays, "W1") and arrays["W1"].ndim == 3 else 0
    require_at_most("distilled", MOST_EXPRESSED_UNITS, hidden, "hidden units")
    require(
        "distilled",
        arrays,
        {
            "W1": (1, hidden, 5 * n),
            "b1": (1, hidden),
            "W2": (1, n, hidden),
            "b2": (1, n),
            "L": (1, n, 5 * n),
            "V": (n, hidden + 1),
            "v": (n,),
            "centre": (5 * n,),
            "scale": (5 * n,),
            "d_scale": (n,),
            "qd_scale": (n,),
            "spread_scale": (),
        },
    )
    require_positive("distilled", arrays, "scale", "d_scale", "qd_scale", "spread_scale")
    return DistilledPrior(arrays, n, spread_of(arrays, n, dt, spread_scale), robot.units)


def build(settings: Settings, robot: Robot, dt: float) -> Prior:
    """Build the saved prior; DataError if it was fitted for another robot, interface or period."""
    return from_arrays(load_model("distilled", settings.file, robot, dt), robot, dt, settings.spread_scale)
