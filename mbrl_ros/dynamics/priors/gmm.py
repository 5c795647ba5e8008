r"""The prior `gmm`: a Gaussian mixture over z = [q; qd; u; delta] of all past data (Levine, Abbeel, NIPS 2014).

It is conditioned at the query,

    p(z) = sum_k pi_k N(z; mu_k, Sigma_k),    v = [q; qd; u],    r_k(v) = pi_k N(v; mu_k, Sigma_k,vv) / sum_j ...
    delta(v) = sum_k r_k (A_k v + b_k),       A_k = Sigma_k,dv Sigma_k,vv^-1,  b_k = mu_k,d - A_k mu_k,v
    d delta / dv = sum_k r_k A_k + sum_k r_k (A_k v + b_k) (g_k - sum_j r_j g_j)^T,   g_k = -Sigma_k,vv^-1 (v - mu_k,v)

All in coordinates scaled to unit variance. Fitted by expectation maximization; new runs are added by stepwise EM
(Cappe and Moulines, JRSS B 2009), which keeps each component's count, sum and second moment and needs no old data. A
normal-inverse-Wishart prior keeps every Sigma_k definite: PRIOR_COUNT observations per dimension of the covariance of
all data, so that a component with little data of its own falls back to the global linear model.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from ...config.section import Section, setting
from ...data.dataset import Dataset
from ...exceptions import ConfigurationError, DataError
from ...robots import Robot
from ...types import Array, CommandVector, Gain, JointVector
from .base import FixedPrior, Prior
from .expression import MeanExpression
from .gmm_expression import mean_expression
from .learned import (
    Progress,
    length_of,
    load_model,
    require,
    require_at_most,
    require_positive,
    spread_of,
    widened,
)

PRIOR_COUNT = 10.0
WEIGHT_FLOOR = 0.01  # of unit variance, in every direction
ITERATIONS = 60
PER_COMPONENT = 200  # transitions a component should stand on, at least
MOST_COMPONENTS = 256  # that a file may hold: each is evaluated in every tick
MOST_EXPRESSED_COMPONENTS = 32  # of which an expression is made: some thousand operations each


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """The fitted mixture."""

    file: str = setting("", "the fitted mixture (mbrl fit-prior)")
    spread_scale: float = setting(1.0, "factor on the spread found when it was fitted", low=1e-6, high=1e6)


def fit(
    data: Dataset,
    u_scale: CommandVector,
    progress: Progress | None = None,
    *,
    components: int = 0,
    seed: int = 0,
) -> dict[str, Array]:
    """Return the mixture's arrays; components 0: one per PER_COMPONENT transitions, at most 12."""
    Z = _joint(data)
    components = components or int(np.clip(len(Z) // PER_COMPONENT, 1, 12))
    if len(Z) < 2 * components:
        raise DataError(f"{len(Z)} transitions are too few for {components} mixture components")
    center, scale = Z.mean(axis=0), Z.std(axis=0)
    scale = np.where(scale > 1e-9 * max(1.0, scale.max()), scale, 1.0)
    Z = (Z - center) / scale
    prior = np.cov(Z.T, bias=True) + WEIGHT_FLOOR * np.eye(Z.shape[1])
    responsibilities = np.eye(components)[_clusters(Z[:, : -data.D.shape[1]], components, np.random.default_rng(seed))]
    statistics = _statistics(Z, responsibilities)
    steps = range(ITERATIONS) if progress is None else progress(range(ITERATIONS))
    previous = -np.inf
    for _ in steps:
        responsibilities, likelihood = _expectation(Z, *_maximization(*statistics, prior))
        statistics = _statistics(Z, responsibilities)
        if likelihood - previous < 1e-5 * abs(likelihood):
            break
        previous = likelihood
    return {
        "count": statistics[0],
        "sum": statistics[1],
        "moment": statistics[2],
        "prior": prior,
        "centre": center,
        "scale": scale,
        "spread_scale": np.array(1.0),
    }


def add(arrays: dict[str, Array], data: Dataset) -> dict[str, Array]:
    """Return the mixture after one more run: each transition is shared out by the mixture as it was."""
    Z = (_joint(data) - arrays["centre"]) / arrays["scale"]
    count, total, moment = arrays["count"], arrays["sum"], arrays["moment"]
    for batch in np.array_split(Z, max(1, len(Z) // 50)):
        responsibilities, _ = _expectation(batch, *_maximization(count, total, moment, arrays["prior"]))
        more = _statistics(batch, responsibilities)
        count, total, moment = count + more[0], total + more[1], moment + more[2]
    return {**arrays, "count": count, "sum": total, "moment": moment}


def moments(arrays: dict[str, Array], Z: Array) -> tuple[Array, Array]:
    """Return the mixture's mean (4n,) and covariance (4n, 4n) about samples, in their units.

    Parameters
    ----------
    arrays
        Of `fit`.
    Z
        z = [q; qd; u; delta] (N, 4n): each component counts by its mean responsibility for them.
    """
    weight, mean, covariance = _maximization(arrays["count"], arrays["sum"], arrays["moment"], arrays["prior"])
    scale = arrays["scale"]
    responsibilities, _ = _expectation((Z - arrays["centre"]) / scale, weight, mean, covariance)
    share = responsibilities.mean(axis=0)
    middle = share @ mean
    apart = mean - middle
    joint = np.einsum("k,kij->ij", share, covariance) + np.einsum("k,ki,kj->ij", share, apart, apart)
    return arrays["centre"] + scale * middle, joint * scale * scale[:, None]


class MixturePrior(FixedPrior):
    """delta (n,) [rad/s per tick] and its exact Jacobian from a mixture of K components."""

    linear = False

    def __init__(self, arrays: dict[str, Array], n: int, spread: Array):
        super().__init__(spread)
        self._n = n
        weight, mean, covariance = _maximization(arrays["count"], arrays["sum"], arrays["moment"], arrays["prior"])
        v = slice(0, 3 * n)
        self._log_weight = np.log(weight)
        self._mean = mean[:, v]
        self._precision = np.linalg.inv(covariance[:, v, v])
        self._log_determinant = 0.5 * np.linalg.slogdet(self._precision)[1]
        self._slope = covariance[:, 3 * n :, v] @ self._precision
        self._offset = mean[:, 3 * n :] - np.einsum("kij,kj->ki", self._slope, self._mean)
        residual = covariance[:, 3 * n :, 3 * n :] - self._slope @ covariance[:, v, 3 * n :]
        self._open = residual.diagonal(axis1=1, axis2=2) / (arrays["count"] + 1.0)[:, None]
        self._center, self._scale = arrays["centre"], arrays["scale"]

    def spread_at(self, x: Array, u: Array) -> Array:
        """Return the spread, wider by the variance of the mean at the query; see `Prior`.

        That is how far the components differ, and what N_k transitions leave open of component k's regression at the
        Mahalanobis distance of the query, Sigma_k,d|v (v-mu_k)^T Sigma_k,vv^-1 (v-mu_k) / N_k.
        """
        r, each, gradient, away = (part[0] for part in self._shares(x[None], u[None]))
        between = r @ each**2 - (r @ each) ** 2
        distance = -np.einsum("ki,ki->k", gradient, away)
        return widened(self.spread, (between + (r * distance) @ self._open) * self._scale[3 * self._n :] ** 2)

    def expression(self) -> MeanExpression:
        """See `Prior`; ConfigurationError for more than MOST_EXPRESSED_COMPONENTS components."""
        K = len(self._mean)
        if K > MOST_EXPRESSED_COMPONENTS:
            raise ConfigurationError(
                f"a planner takes a mixture of at most {MOST_EXPRESSED_COMPONENTS} components for its model, and "
                f"this one has {K}",
                key="prior.gmm.file",
            )
        log_weight: Array = self._log_weight + self._log_determinant
        given = log_weight, self._mean, np.asarray(self._precision, dtype=np.float64), self._slope, self._offset
        return mean_expression(*given, self._center, self._scale)

    def mean(self, x: Array, u: CommandVector) -> JointVector:
        """See `Prior`."""
        r, each, _, _ = self._shares(x[None], u[None])
        mean: JointVector = self._mixed(r, each)[0]
        return mean

    def _shares(self, X: Array, U: Array) -> tuple[Array, Array, Array, Array]:
        """Return r (T, K), A_k v + b_k (T, K, n), g_k and v - mu_k (T, K, 3n), scaled."""
        inside = slice(0, 3 * self._n)
        V = (np.hstack([X, U]) - self._center[inside]) / self._scale[inside]
        away = V[:, None] - self._mean
        gradient = -np.einsum("kij,tkj->tki", self._precision, away)
        log_r = self._log_weight + self._log_determinant + 0.5 * np.einsum("tki,tki->tk", gradient, away)
        r = np.exp(log_r - logsumexp(log_r, axis=1, keepdims=True))
        each = np.einsum("kij,tj->tki", self._slope, V) + self._offset
        return r, each, gradient, away

    def _mixed(self, r: Array, each: Array) -> Array:
        """Return delta (T, n) from r (T, K) and A_k v + b_k (T, K, n)."""
        n = self._n
        mean: Array = self._center[3 * n :] + self._scale[3 * n :] * np.einsum("tk,tki->ti", r, each)
        return mean

    def linearize(self, X: Array, U: Array) -> tuple[Array, Gain]:
        """See `Prior`."""
        n, inside = self._n, slice(0, 3 * self._n)
        r, each, gradient, _ = self._shares(X, U)
        scale = self._scale[3 * n :]
        mean = self._mixed(r, each)
        relative = gradient - np.einsum("tk,tkj->tj", r, gradient)[:, None]
        J = np.einsum("tk,kij->tij", r, self._slope) + np.einsum("tk,tki,tkj->tij", r, each, relative)
        return mean, J * scale[:, None] / self._scale[inside]


def from_arrays(arrays: dict[str, Array], robot: Robot, dt: float, spread_scale: float = 1.0) -> MixturePrior:
    """Make the prior of what `fit` returned; DataError if that does not fit the robot."""
    n = len(robot.joints)
    K = length_of(arrays, "count")
    require_at_most("gmm", MOST_COMPONENTS, K, "components")
    require(
        "gmm",
        arrays,
        {
            "count": (K,),
            "sum": (K, 4 * n),
            "moment": (K, 4 * n, 4 * n),
            "prior": (4 * n, 4 * n),
            "centre": (4 * n,),
            "scale": (4 * n,),
            "spread_scale": (),
        },
    )
    require_positive("gmm", arrays, "scale", "spread_scale")
    spread = spread_of(arrays, n, dt, spread_scale)
    _, _, covariance = _maximization(arrays["count"], arrays["sum"], arrays["moment"], arrays["prior"])
    if (arrays["count"] < 0.0).any() or not (np.linalg.eigvalsh(covariance) > 0.0).all():  # NaN too
        raise DataError("gmm: a component's covariance is none: it has a negative eigenvalue, or a negative count")
    return MixturePrior(arrays, n, spread)


def build(settings: Settings, robot: Robot, dt: float) -> Prior:
    """Build the saved prior; DataError if it was fitted for another robot, interface or period."""
    return from_arrays(load_model("gmm", settings.file, robot, dt), robot, dt, settings.spread_scale)


def _joint(data: Dataset) -> Array:
    """Return z = [q; qd; u; delta] (N, 4n)."""
    return np.hstack([data.X, data.U, data.D])


def _statistics(Z: Array, responsibilities: Array) -> tuple[Array, Array, Array]:
    """Return counts (K,), sums (K, D) and second moments (K, D, D)."""
    weighted = responsibilities[:, :, None] * Z[:, None]
    return responsibilities.sum(axis=0), weighted.sum(axis=0), np.einsum("tki,tj->kij", weighted, Z)


def _maximization(count: Array, total: Array, moment: Array, prior: Array) -> tuple[Array, Array, Array]:
    """Return weights (K,), means (K, D), covariances (K, D, D); zero counts as a tenth of an observation of a mean."""
    D = total.shape[1]
    mean = total / (count + 0.1)[:, None]
    # sum_t r_t (z - mean)(z - mean)^T from the sums alone
    cross = total[:, :, None] * mean[:, None]
    scatter = moment - cross - cross.transpose(0, 2, 1) + count[:, None, None] * mean[:, :, None] * mean[:, None]
    covariance = (scatter + PRIOR_COUNT * D * prior) / (count + PRIOR_COUNT * D)[:, None, None]
    return (count + 1.0) / (count + 1.0).sum(), mean, 0.5 * (covariance + covariance.transpose(0, 2, 1))


def _expectation(Z: Array, weight: Array, mean: Array, covariance: Array) -> tuple[Array, float]:
    """Return responsibilities (N, K) and the mean log likelihood."""
    log_r = np.empty((len(Z), len(weight)))
    for k, factor in enumerate(np.linalg.cholesky(covariance)):
        white = solve_triangular(factor, (Z - mean[k]).T, lower=True)
        log_r[:, k] = np.log(weight[k]) - np.log(np.diag(factor)).sum() - 0.5 * (white**2).sum(axis=0)
    total = logsumexp(log_r, axis=1, keepdims=True)
    return np.exp(log_r - total), float(total.mean())


def _clusters(V: Array, components: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Label V (N, D) as a start for EM: k-means (Lloyd) from k-means++ (Arthur and Vassilvitskii 2007)."""
    centers = V[rng.integers(len(V))][None]
    while len(centers) < components:
        distance = ((V[:, None] - centers) ** 2).sum(axis=2).min(axis=1)
        distance = distance if distance.sum() > 0.0 else np.ones(len(V))
        centers = np.vstack([centers, V[rng.choice(len(V), p=distance / distance.sum())]])
    labels = np.zeros(len(V), dtype=np.intp)
    for _ in range(20):
        labels = ((V[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        centers = np.array(
            [V[labels == k].mean(axis=0) if (labels == k).any() else centers[k] for k in range(components)]
        )
    return labels
