r"""Bayesian linear regression that forgets its evidence and never its prior.

    y = W^T phi + e,   e ~ N(0, Sigma),   W_j | Sigma ~ N(0, Lambda_j^-1 Sigma_jj),   Sigma ~ IW

with evidence weighted by gamma per tick:

    S <- gamma S + w phi phi^T,        C <- gamma C + w phi y^T
    W_j = (S + Lambda_j)^-1 C_j,       L_j L_j^T = S + Lambda_j
    Cov(W_i^T phi, W_j^T phi') = (L_i^-1 phi)^T (L_j^-1 phi')  Sigma_ij

w = 1 / (1 + rho) is the weight of a sample with noise (1 + rho) Sigma; 1 where nothing else is known. Lambda_j is in
units of the noise of output j, so that a prior in physical units weighs more where there is more noise: one Lambda for
all outputs would take the noise of the noisiest for motion. With one it is the matrix-normal inverse-Wishart posterior
(Fu, Levine, Abbeel, IROS 2016, sec. IV; Bishop 2006, sec. 3.3) in information form: conditioning the joint Gaussian
over [phi; y] gives the same W. Because Lambda is added anew at every query and is never discounted, directions without
excitation fall back to the prior instead of winding up.

The prior is stated about the point of the query (phi's slope part is centered there): the last entry of phi is the
constant 1, and moving the center by c replaces S by T S T^T and C by T C with T = [[I, -c], [0, 1]].
The evidence itself is stated about an origin, which follows a center that is further than FARTHEST_CENTER from it:
about zero, a joint that has turned a thousand times would have moments whose last digits hold all that is known.

Sigma is estimated from one-step-ahead innovations e, each divided by the root of its predicted inflation
a_j = 1 + phi^T (S + Lambda_j)^-1 phi (Mehra, IEEE TAC 1972): in-sample residuals would be too small by the degrees of
freedom W has taken up. Here the prior is forgotten: unlike a direction of phi, noise is seen at every tick, and a guess
that is ten times off would otherwise bias Sigma for good. Only a hundredth of its standard deviation stays as a floor.
A sample of weight w tells as little of the noise, so the past is forgotten by g^w only:

    scatter <- g^w scatter + w r r^T,   r_j = e_j / sqrt(a_j),   count <- g^w count + w,   Sigma = scatter / count

With g instead of g^w small weights would shrink count and scatter together until only the newest sample counted,
and Sigma with them. A sum of squares with unequal weights has more degrees of freedom than its largest weight suggests
(Satterthwaite, Biometrics Bulletin 1946): with the sum of the squared weights

    squares <- g^2w squares + w^2,     degrees of freedom = count^2 / squares

which tends to (1 + g) / (1 - g) for w = 1, about twice count. Where w falls with the size of e (outliers.py) the mean
of w r r^T is smaller than Sigma by a factor known for a right model, noise_bias, and is divided by it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri, dtrtrs

from ..types import Array

FARTHEST_CENTER = 16.0  # [units of the regressors: rad, rad/s, full commands]
NOISE_FLOOR = 1e-4  # share of the noise prior that stays however quiet the innovations are


class RegressionPosterior:
    """Evidence (S, C), noise estimate and their posterior for D regressors (constant last) and n outputs.

    precision (n, D), or (D,) for all outputs: diagonals of Lambda_j, in units of the noise variance of output j; may be
    changed in place. noise_std (n,): prior standard deviation of e. noise_count: how many observations the noise prior
    is worth at the start. noise_forgetting: weight of past innovations per tick. noise_bias: E[w e^T P^-1 e] / (n E[w])
    with P the covariance of e.

    The arrays belong to the posterior and are overwritten: W (D, n) of the last condition(), error (n,), inflation (n,)
    and whitened (n,), whose square is the NIS, of the last predict(), Sigma (n, n) of the last add_innovation() and its
    diagonal variance (n,). This class is the specification; compiled_posterior.py is the same in compiled code.
    """

    def __init__(
        self,
        precision: Array,
        noise_std: Array,
        *,
        noise_count: float = 10.0,
        noise_forgetting: float = 0.99,
        noise_bias: float = 1.0,
    ):
        self.size, self.outputs = D, n = np.shape(precision)[-1], np.size(noise_std)
        self.precision = np.zeros((n, D))
        self.precision[:] = precision
        self._noise_prior = np.diag(np.asarray(noise_std, dtype=np.float64) ** 2)
        self._noise_count, self._noise_forgetting, self._noise_bias = noise_count, noise_forgetting, noise_bias
        self.S, self.C, self._scatter = np.zeros((D, D)), np.zeros((D, n)), np.zeros((n, n))
        self.W, self.center, self.error, self.Sigma = np.zeros((D, n)), np.zeros(D - 1), np.zeros(n), np.zeros((n, n))
        self.origin, self.whitened = np.zeros(D - 1), np.zeros(n)
        self.variance = self.Sigma.reshape(-1)[:: n + 1]  # its diagonal
        self._factor, self.inflation = np.zeros((n, D, D)), np.ones(n)
        self._numbers = np.zeros(2)  # count and squares
        self.failed = False
        self.reset()

    def reset(self) -> None:
        """Forget everything but the prior."""
        self.S[:], self.C[:], self.origin[:], self.error[:], self.whitened[:] = 0.0, 0.0, 0.0, 0.0, 0.0
        self._scatter[:] = self._noise_count * self._noise_prior
        self._numbers[:], self.inflation[:] = self._noise_count, 1.0
        self.Sigma[:] = (1.0 + NOISE_FLOOR) * self._noise_prior
        self.condition(np.zeros(self.size - 1))

    def evidence(self) -> dict[str, Array]:
        """Return all that was learned, as arrays.

        S (D, D) and C (D, n) about origin (D-1,), scatter (n, n), count () and squares () of the innovations' weights,
        and the prior's precision (n, D) as it stands.
        """
        return {
            "S": self.S.copy(),
            "C": self.C.copy(),
            "origin": self.origin.copy(),
            "scatter": self._scatter.copy(),
            "count": np.array(self.count),
            "squares": np.array(self.squares),
            "precision": self.precision.copy(),
        }

    def restore(self, evidence: dict[str, Array]) -> None:
        """Take up what `evidence` of another posterior of the same size returned."""
        self.S[:], self.C[:], self.origin[:] = evidence["S"], evidence["C"], evidence["origin"]
        self._scatter[:], self.precision[:] = evidence["scatter"], evidence["precision"]
        self._numbers[:] = evidence["count"], evidence["squares"]
        self.Sigma[:] = self._scatter / self.count + NOISE_FLOOR * self._noise_prior
        if np.abs(self.center - self.origin).max(initial=0.0) > FARTHEST_CENTER:
            self.center[:] = self.origin
        self.condition(self.center.copy())

    def condition(self, center: Array) -> Array:
        """Return W (D, n) about `center` (D-1,): row j < D-1 the slope by regressor j, the last one the mean there.

        Where an S + Lambda_j has no Cholesky factor, `failed` is true and W stays that of before.
        """
        if np.abs(center - self.origin).max(initial=0.0) > FARTHEST_CENTER:
            self.S[:], self.C[:] = self._about(center)
            self.origin[:] = center
        S, C = self._about(center)
        self.center[:] = center
        # a second attempt: rounding alone can make the first one fail, and only with evidence that dwarfs the prior
        self.failed = not any(self._factorize(S, more) for more in (0.0, 1e-9 * np.trace(S) / self.size))
        if not self.failed:
            for j, factor in enumerate(self._factor):
                self.W[:, j] = dpotrs(factor, C[:, j], lower=1)[0]
        return self.W

    def _factorize(self, S: Array, more: float) -> bool:
        """Set the Cholesky factors of S + Lambda_j + `more` I; return whether all exist."""
        for j, precision in enumerate(self.precision):
            factor, info = dpotrf(S + np.diag(precision + more), lower=1)
            if info or not np.isfinite(factor[-1, -1]):
                return False
            self._factor[j] = np.tril(factor)
        return True

    def _about(self, center: Array) -> tuple[Array, Array]:
        """Return S and C about `center` (D-1,)."""
        S, C, c = self.S.copy(), self.C.copy(), center - self.origin
        S[:-1] -= c[:, None] * self.S[-1]
        S[:, :-1] -= S[:, -1:] * c
        C[:-1] -= c[:, None] * self.C[-1]
        return S, C

    def predict(self, regressors: Array, y: Array, rho: float = 0.0) -> float:
        """Return the NIS of y (n,) at `regressors` (D,) with noise (1 + rho) Sigma, by the last condition()'s model.

        Sets error, inflation a and whitened. The error's covariance is P_ij = sqrt((a_i + rho) (a_j + rho)) Sigma_ij.
        The NIS of what is not finite is NaN.
        """
        phi = np.append(regressors[:-1] - self.center, 1.0)
        self.error[:] = y - self.W.T @ phi
        for j, factor in enumerate(self._factor):
            self.inflation[j] = 1.0 + np.square(dtrtrs(factor, phi, lower=1)[0]).sum()
        scaled = self.error / np.sqrt(self.inflation + rho)
        factor, info = dpotrf(self.Sigma, lower=1)
        self.whitened[:] = scaled if info else dtrtrs(factor, scaled, lower=1)[0]
        return math.nan if info else float(self.whitened @ self.whitened)

    def covariance(self, rho: float = 0.0) -> Array:
        """Return the covariance (n, n) of the last prediction's error for a sample with noise (1 + rho) Sigma."""
        root = np.sqrt(self.inflation + rho)
        return root[:, None] * self.Sigma * root

    def add(self, regressors: Array, y: Array, forgetting: float, weight: float = 1.0) -> None:
        """Add one observation of `weight` w: regressors (D,) about zero, constant last; y (n,)."""
        phi = np.append(regressors[:-1] - self.origin, regressors[-1])
        weighted = weight * phi[:, None]
        self.S *= forgetting
        self.S += weighted * phi
        self.C *= forgetting
        self.C += weighted * y

    def add_innovation(self, weight: float = 1.0) -> None:
        """Learn the noise from the last prediction, of a sample of `weight` w."""
        keep = self._noise_forgetting**weight
        scaled = self.error / np.sqrt(self.inflation)
        self._scatter *= keep
        self._scatter += (weight / self._noise_bias * scaled)[:, None] * scaled
        self._numbers[:] = keep * self.count + weight, keep * keep * self.squares + weight * weight
        self.Sigma[:] = self._scatter / self.count + NOISE_FLOOR * self._noise_prior

    def rebase(self, rows: slice, change: Array) -> None:
        """Take `change` (n, k) times the regressors `rows` (k of them) out of every y seen so far.

        y <- y - change phi_rows, so C <- C - S[:, rows] change^T: exactly the evidence that the same samples would have
        left had they been stated about a prior mean larger by change phi_rows. W follows with the next condition().
        """
        self.C -= (self.S[:, rows] + self.S[:, -1:] * self.origin[rows]) @ change.T

    def inverse_factors(self) -> Array:
        """Return L_j^-1 of every output j (n, D, D), about the center of the last condition().

        The errors of the coefficients have the covariance Cov(W_ai, W_bj) = [L_i^-T L_j^-1]_ab Sigma_ij.
        """
        return np.array([dtrtri(factor, lower=1)[0] for factor in self._factors()])

    def _factors(self) -> Array:
        """Return L_j (n, D, D)."""
        return self._factor

    @property
    def count(self) -> float:
        """The sum of the weights of the innovations that Sigma is estimated from."""
        return float(self._numbers[0])

    @property
    def squares(self) -> float:
        """The sum of the squares of these weights."""
        return float(self._numbers[1])

    @property
    def noise_dof(self) -> float:
        """The degrees of freedom of Sigma: the number of equally weighted observations that are worth as much."""
        count, squares = self._numbers.tolist()
        dof: float = count * count / squares
        return dof
