r"""An ensemble of probabilistic networks: noise in each member's variance, ignorance in how far members disagree.

    p(qd' - qd | x, u) = 1/M sum_m N(mean_m(z), diag variance_m(z)),    z = [sin q, cos q, qd, u], standardized

(Chua et al., NeurIPS 2018; Lakshminarayanan et al. 2017). The mixture's variance is the sum of two,

    1/M sum_m variance_m  (aleatoric: the noise that was seen)  +  variance over m of mean_m  (epistemic: ignorance)

The members differ by their starts, and where the data are resampled also by their bootstrap samples (Efron 1979).
Training is Adam (adam.py) on the likelihood of gaussian_networks.py and keeps, for each member, the
parameters that were best on rows it was not trained on: those that its bootstrap sample left out, or with the same data
for all members HELD_OUT_ROWS of the rows. The position of a sliding joint enters as an angle does, so that positions
2 pi m apart are alike.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.section import Section, setting
from ..console.jobs import run_jobs, worker_count
from ..exceptions import DataError
from ..types import Array
from .adam import Adam
from .gaussian_networks import NetworkShape, Real, forward, gradient, losses

HELD_OUT_ROWS, CHECK_EVERY = 0.15, 50  # share of the rows; updates from one look at the held-out rows to the next
FIT_STREAM = 2  # beside a seed: what is drawn here is independent of what else is drawn with that seed


@dataclasses.dataclass(frozen=True)
class NetworkSettings(Section):
    """The shape of a network, and its training."""

    hidden: int = setting(64, "units of each of the two hidden layers", low=1, high=1024)
    updates: int = setting(3000, "steps of the optimizer for each fit", low=1, high=1_000_000)
    batch: int = setting(64, "rows of a step of the optimizer", unit="rows", low=1, high=65536)
    learning_rate: float = setting(3e-3, "first step size of Adam, which falls to 0 as a cosine", low=1e-8, high=1.0)
    decay: float = setting(
        0.1,
        "share of every parameter that a step of the optimizer takes away, relative to its step size",
        low=0.0,
        high=1.0,
    )
    least_std: float = setting(
        0.003, "least standard deviation of a network, in standard deviations of the data", low=1e-6, high=0.5
    )
    most_std: float = setting(
        2.0, "largest standard deviation of a network, in standard deviations of the data", low=1.0, high=100.0
    )


@dataclasses.dataclass(frozen=True)
class EnsembleSettings(NetworkSettings):
    """What is trained, and how."""

    networks: int = setting(5, "networks of the ensemble", low=1, high=100)
    members: str = setting(
        "same",
        "what a network is trained on: same: all rows but those held out for all; resampled: a bootstrap sample of its"
        " own",
        choices=("same", "resampled"),
    )


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Scales:
    """What z and d are standardized by: centre, scale (inputs,) of z; d_scale (outputs,)."""

    centre: Array
    scale: Array
    d_scale: Array

    @classmethod
    def of(cls, z: Array, d: Array) -> Scales:
        """Return those of the rows z (N, inputs), d (N, outputs).

        Raises
        ------
        DataError : there are no rows, or one is not finite
        """
        if not len(z) or not (np.isfinite(z).all() and np.isfinite(d).all()):
            raise DataError(f"an ensemble needs rows of finite numbers, got {len(z)}")
        centre, scale = z.mean(axis=0), z.std(axis=0)
        scale = np.where(scale > 1e-9 * max(1.0, scale.max()), scale, 1.0)
        return cls(centre, scale, np.maximum(np.sqrt((d**2).mean(axis=0)), 1e-12))

    def standard(self, z: Array, d: Array) -> tuple[Real, Real]:
        """Return both standardized, of float32."""
        return ((z - self.centre) / self.scale).astype(np.float32), (d / self.d_scale).astype(np.float32)


class GaussianEnsemble:
    """The fitted ensemble: theta (M, size), of float32, and what its inputs and outputs are standardized by."""

    def __init__(self, shape: NetworkShape, theta: Real, scales: Scales):
        self.shape, self.members, self.scales = shape, len(theta), scales
        self._theta = theta.astype(np.float32)
        self._W = shape.views(self._theta)
        self._centre, self._inverse = scales.centre.astype(np.float32), (1.0 / scales.scale).astype(np.float32)
        self._d_scale = scales.d_scale

    @property
    def theta(self) -> Real:
        """The members (M, size), of float32."""
        return self._theta

    @property
    def parameters(self) -> Array:
        """The members as rows (M, ...): theta, the centre and 1 / scale of z, the scale of d."""
        scales = np.concatenate([self._centre, self._inverse, self._d_scale])
        return np.hstack([self._theta, np.broadcast_to(scales, (self.members, len(scales)))]).astype(np.float64)

    def predict(self, z: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation (M, N, outputs) of each member at z (N, inputs), or (M, N, inputs)."""
        standard = (z.astype(np.float32) - self._centre) * self._inverse
        if standard.ndim == 2:
            standard = np.broadcast_to(standard, (self.members, *standard.shape))
        mean, log_variance, _ = forward(self.shape, self._W, standard)
        return mean * self._d_scale, np.exp(0.5 * log_variance) * self._d_scale

    def moments(self, z: Array) -> tuple[Array, Array, Array]:
        """Return the mixture's mean, its aleatoric and its epistemic variance (N, outputs) at z (N, inputs)."""
        mean, std = self.predict(z)
        return mean.mean(axis=0), (std**2).mean(axis=0), mean.var(axis=0)


def features(X: Array, U: Array) -> Array:
    """Return z (..., 4n) of states (..., 2n) and commands (..., n)."""
    q, qd = np.split(X, 2, axis=-1)
    return np.concatenate([np.sin(q), np.cos(q), qd, U], axis=-1)


def fit(z: Array, d: Array, settings: EnsembleSettings, seed: int) -> GaussianEnsemble:
    """Fit an ensemble to the rows z (N, inputs), d (N, outputs).

    Raises
    ------
    DataError : there are no rows, one is not finite, or the fit diverged
    """
    scales = Scales.of(z, d)
    bounds = 2.0 * math.log(settings.least_std), 2.0 * math.log(settings.most_std)
    shape = NetworkShape(z.shape[1], settings.hidden, d.shape[1], *bounds)
    standard = scales.standard(z, d)
    shares = np.array_split(np.arange(settings.networks), min(worker_count(), settings.networks))
    calls = [(shape, *standard, settings, [seed, FIT_STREAM], share) for share in shares]
    return GaussianEnsemble(shape, np.concatenate(run_jobs(train, calls)), scales)


def rows_of(members: str, networks: int, N: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the rows (M, N') that each member is trained on, and weights (M, N) that choose those it is judged by."""
    if members == "same" or N < 2:
        order = rng.permutation(N)
        held = max(1, round(HELD_OUT_ROWS * N)) if N > 1 else 0
        trained = np.broadcast_to(order[held:], (networks, N - held))
        chosen = np.zeros(N, dtype=np.float32)
        chosen[order[:held] if held else order] = 1.0
        return trained, np.broadcast_to(chosen, (networks, N))
    trained = rng.integers(N, size=(networks, N))
    chosen = np.ones((networks, N), dtype=np.float32)
    np.put_along_axis(chosen, trained, 0.0, axis=1)
    chosen[chosen.sum(axis=1) == 0.0] = 1.0
    return trained, chosen


def train(
    shape: NetworkShape, z: Real, d: Real, settings: EnsembleSettings, seed: Sequence[int], share: NDArray[np.int64]
) -> Real:
    """Return the parameters (m, size) that were best on their held-out rows, of the members `share` (m,) of all.

    The random numbers are those of all members, whichever are trained, so that a member does not depend on `share`.
    """
    M, N, rng = settings.networks, len(z), np.random.default_rng(seed)
    trained, chosen = (rows[share] for rows in rows_of(settings.members, M, N, rng))
    theta = shape.initial(M, rng).astype(np.float32)[share]
    updates, slope = settings.updates, np.empty_like(theta)
    adam = Adam(theta, settings.learning_rate, updates)
    best: Real = theta.copy()
    best_loss = np.full(len(share), np.inf)
    every_z, every_d = (np.broadcast_to(rows, (len(share), *rows.shape)) for rows in (z, d))
    for count in range(1, updates + 1):
        drawn = rng.integers(trained.shape[1], size=(M, settings.batch))[share]
        batch = np.take_along_axis(trained, drawn, axis=1)
        gradient(shape, theta, z[batch], d[batch], slope)
        rate = adam.step(theta, slope)
        theta *= 1.0 - rate * settings.decay
        if count % CHECK_EVERY == 0 or count == updates:
            each = losses(shape, theta, every_z, every_d)
            loss = (each * chosen).sum(axis=1) / chosen.sum(axis=1)
            better = loss < best_loss
            best[better], best_loss[better] = theta[better], loss[better]
    if not np.isfinite(best_loss).all():
        raise DataError("the fit of an ensemble diverged: lower learning_rate")
    return best
