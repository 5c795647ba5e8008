r"""Who acts while a student is taught, and what it is told: five schools, one formula.

Around the teacher's plan its cost-to-go is Q(u) = 1/2 (u - u_T)^T Q_uu (u - u_T) + const. A teacher drawn to the student
mu with precision P minimises Q(u) + lambda KL(u || N(mu, P^-1)) over the command about to act,

    u_lambda = (Q_uu + lambda P)^-1 (Q_uu u_T + lambda P mu).

    clone    acts u_T                          learns u_T
    dagger   acts alpha u_T + (1 - alpha) mu   learns u_T         Ross, Gordon & Bagnell, AISTATS 2011
    plato    acts u_lambda                     learns u_T         Kahn, Zhang, Levine & Abbeel, ICRA 2017
    gps      acts u_lambda                     learns u_lambda    Levine & Abbeel, NIPS 2014; lambda follows the KL step
    mdgps    acts u_lambda                     learns u_lambda    Montgomery & Levine, NIPS 2016; mu is linearised around
                                                                  recent data and lambda the multiplier of KL <= step
The KL terms of the stages behind the first are left out: the plan is made anew at every tick, and its Q_uu already
assumes that the teacher goes on. Safe schedule: where mu is far from u_T the teacher alone acts, and the student comes
back in smoothly (SafeDAgger, Zhang & Cho, AAAI 2017). It acts alone, too, while its reference moves: where on its way
the reference is, the student cannot see, and what a teacher says who has to catch up with it is no function of what the
student sees. Measured on the Panda: labels at states the student had brought about then scattered two to ten times
as much as the teacher's own, and both DAgger and PLATO were worse than cloning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config.sections.distillation import DistillationSettings
from ..types import Array

ADAPTATION = 1.02  # factor on lambda per tick (gps)
RETURN = 0.3  # time constant with which the student comes back after the teacher took over [s]
MOST = 1e6  # largest lambda


def disagreement(u: Array, u_teacher: Array, Q: Array, half: Array) -> float:
    """|u - u_T| in the metric Q, over half the command range `half` (n,) in its diagonal: 0 agreement, 2 opposite ends."""
    r = u - u_teacher
    return float(np.sqrt(max(r @ Q @ r, 0.0) / (half * half @ np.diag(Q))))


def kl_regularized(u: Array, Q: Array, mu: Array, P: Array, weight: float) -> Array:
    """u_lambda."""
    return mu + np.linalg.solve(Q + weight * P, Q @ (u - mu))


def kl_weight(u: Array, Q: Array, mu: Array, P: Array, step: float) -> float:
    """The smallest lambda with 1/2 |u_lambda - mu|^2_P <= step (the KL divergence of equally wide Gaussians)."""

    def excess(weight: float) -> float:
        r = kl_regularized(u, Q, mu, P, weight) - mu
        return 0.5 * float(r @ P @ r) - step

    if excess(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, 1.0
    while excess(high) > 0.0 and high < MOST:
        low, high = high, 4.0 * high
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return high


class LocalGaussian:
    """mu as a linear function of x around recent data: a Gaussian of [x, mu], its covariance shrunk towards that of all
    data so far (a normal-inverse-Wishart prior of one component).
    """

    def __init__(self, nx: int, nu: int, forgetting: float = 0.97, prior: float = 10.0):
        self.nx, self.forgetting, self.prior = nx, forgetting, prior
        self._recent = _Moments(nx + nu)
        self._all = _Moments(nx + nu)

    def predict(self, x: Array, u: Array) -> Array:
        """The linearised command at x (nx,), where the student says u (nu,), which is learned."""
        row = np.concatenate([x, u])
        self._recent.add(row, self.forgetting)
        self._all.add(row, 1.0)
        weight = self._recent.count / (self._recent.count + self.prior)
        S = weight * self._recent.covariance + (1.0 - weight) * self._all.covariance
        n, mean = self.nx, self._recent.mean
        S_xx = S[:n, :n] + (1e-9 + 1e-6 * np.trace(S[:n, :n])) * np.eye(n)
        return mean[n:] + S[n:, :n] @ np.linalg.solve(S_xx, x - mean[:n])


class _Moments:
    def __init__(self, size: int):
        self.count, self.mean, self.covariance = 0.0, np.zeros(size), np.zeros((size, size))

    def add(self, row: Array, forgetting: float) -> None:
        self.count = forgetting * self.count + 1.0
        r = row - self.mean
        self.mean = self.mean + r / self.count
        self.covariance += (np.outer(r, row - self.mean) - self.covariance) / self.count


@dataclass(frozen=True, eq=False, slots=True)
class LabeledStep:
    """act (n,): the command; label (n,): what the student is to say; disagreement of student and teacher."""

    act: Array
    label: Array
    disagreement: float


class Imitation:
    """One tick after the other of the school `settings.method`; `version` policies have been learned so far."""

    def __init__(self, settings: DistillationSettings, n: int, half: Array, dt: float):
        self.settings, self.dt, self._half = settings, dt, half
        self.weight = settings.kl_weight
        self._local = LocalGaussian(2 * n, n)
        self._share = 0.0

    def alpha(self, version: int) -> float:
        """The teacher's share in dagger's mixture: from alpha_start to alpha_end over alpha_versions policies."""
        s = self.settings
        return s.alpha_start + (s.alpha_end - s.alpha_start) * min(1.0, version / s.alpha_versions)

    def step(
        self,
        u: Array,
        label: Array,
        Q: Array,
        mu: Array | None,
        P: Array | None,
        x: Array,
        version: int,
        *,
        resting: bool = True,
    ) -> LabeledStep:
        """u: the teacher's command, label: its mean command of the next window (n,); mu (n,), P (n, n): the student's
        command and precision, None while there is none; x = [q; qd]; resting: the teacher's reference has arrived.
        """
        if mu is None:
            return LabeledStep(u, label, float("nan"))
        s = self.settings
        apart = disagreement(mu, label, Q, self._half)
        alone = apart > s.safe_disagreement or not resting
        self._share = 0.0 if alone else self._share + self.dt / RETURN * (1.0 - self._share)
        if s.method == "clone":
            return LabeledStep(u, label, apart)
        if s.method == "dagger":
            student = self._share * (1.0 - self.alpha(version))
            return LabeledStep(u + student * (mu - u), label, apart)
        if s.method == "mdgps":
            mu = self._local.predict(x, mu)
            self.weight = kl_weight(label, Q, mu, P, s.kl_step)
        act = u + self._share * (kl_regularized(u, Q, mu, P, self.weight) - u)
        if s.method == "plato":
            return LabeledStep(act, label, apart)
        told = kl_regularized(label, Q, mu, P, self.weight)
        if s.method == "gps":
            r = told - mu
            far = 0.5 * float(r @ P @ r) > s.kl_step
            self.weight = min(MOST, max(1e-3, self.weight * (ADAPTATION if far else 1.0 / ADAPTATION)))
        return LabeledStep(act, told, apart)
