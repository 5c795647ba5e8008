r"""Imitation methods: what acts while a student is taught, and what it learns. Five methods, one formula.

Around the teacher's plan its cost-to-go is Q(u) = 1/2 (u - u_T)^T Q_uu (u - u_T) + const. KL-regularized by the
student's command mu with precision P, the teacher minimizes Q(u) + lambda KL(u || N(mu, P^-1)) over the command about
to act,

    u_lambda = (Q_uu + lambda P)^-1 (Q_uu u_T + lambda P mu).

    clone    acts u_T                          learns u_T
    dagger   acts alpha u_T + (1 - alpha) mu   learns u_T         Ross, Gordon & Bagnell, AISTATS 2011
    plato    acts u_lambda                     learns u_T         Kahn, Zhang, Levine & Abbeel, ICRA 2017
    gps      acts u_lambda                     learns u_lambda    Levine & Abbeel, NIPS 2014; lambda adapts to a step
    mdgps    acts u_lambda                     learns u_lambda    Montgomery & Levine, NIPS 2016; mu is linearized
                                                                  around recent data, lambda multiplies KL <= step

The KL terms of the stages behind the first are left out: the plan is made anew at every tick, and its Q_uu already
assumes that the teacher goes on. Safe schedule: where mu is far from u_T the teacher alone acts, and the student's
share returns smoothly (SafeDAgger, Zhang & Cho, AAAI 2017). The teacher acts alone, too, while its reference moves: the
student cannot observe how far the reference has come, and the command of a teacher that has to catch up with it is no
function of what the student observes. Measured on the Panda: labels at states that the student had brought about then
scattered two to ten times as much as the teacher's, and both DAgger and PLATO did worse than cloning.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from ..config.sections.distillation import DistillationSettings
from ..types import Array

ADAPTATION = 1.02  # factor on lambda per tick (gps)
RETURN_TIME = 0.3  # time constant with which the student's share returns after the teacher acted alone [s]
LARGEST_KL_WEIGHT = 1e6  # lambda


class Acts(enum.Enum):
    """Which command acts."""

    TEACHER = "u_T"
    MIXTURE = "alpha u_T + (1 - alpha) mu"
    KL_REGULARIZED = "u_lambda"


class Weight(enum.Enum):
    """How lambda is found."""

    FIXED = "the setting"
    ADAPTED = "raised while the KL step is exceeded, lowered otherwise"
    CONSTRAINED = "the multiplier of KL <= step"


@dataclass(frozen=True, slots=True)
class Method:
    """An imitation method; learns_u_lambda: the label is u_lambda instead of u_T."""

    acts: Acts
    learns_u_lambda: bool = False
    weight: Weight = Weight.FIXED


METHODS = {
    "clone": Method(Acts.TEACHER),
    "dagger": Method(Acts.MIXTURE),
    "plato": Method(Acts.KL_REGULARIZED),
    "gps": Method(Acts.KL_REGULARIZED, learns_u_lambda=True, weight=Weight.ADAPTED),
    "mdgps": Method(Acts.KL_REGULARIZED, learns_u_lambda=True, weight=Weight.CONSTRAINED),
}


def disagreement(u: Array, u_teacher: Array, Q: Array, half: Array) -> float:
    """Return the distance |u - u_T| in the metric Q (n, n), over that of half the command range `half` (n,).

    0 is agreement, 2 are opposite ends of the range.
    """
    r = u - u_teacher
    return float(np.sqrt(max(float(r @ Q @ r), 0.0) / (half * half @ np.diag(Q))))


def kl_regularized(u: Array, Q: Array, mu: Array, P: Array, weight: float) -> Array:
    """Return u_lambda (n,) for the teacher's u (n,) and Q (n, n), the student's mu and P, and lambda = `weight`."""
    command: Array = mu + np.linalg.solve(Q + weight * P, Q @ (u - mu))
    return command


def kl_weight(u: Array, Q: Array, mu: Array, P: Array, step: float) -> float:
    """Return the smallest lambda with 1/2 |u_lambda - mu|^2_P <= step, the KL divergence of equally wide Gaussians."""

    def excess(weight: float) -> float:
        r = kl_regularized(u, Q, mu, P, weight) - mu
        return 0.5 * float(r @ P @ r) - step

    if excess(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, 1.0
    while excess(high) > 0.0 and high < LARGEST_KL_WEIGHT:
        low, high = high, 4.0 * high
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return high


class LocalGaussian:
    """The student's command as a linear function of the state around recent data.

    A Gaussian of [x, mu] is fitted to recent data, its covariance shrunk towards that of all data so far (a
    normal-inverse-Wishart prior of one component).
    """

    def __init__(self, nx: int, nu: int, forgetting: float = 0.97, prior: float = 10.0):
        self.nx, self.forgetting, self.prior = nx, forgetting, prior
        self._recent = _Moments(nx + nu)
        self._all = _Moments(nx + nu)

    def predict(self, x: Array, u: Array) -> Array:
        """Learn that the student's command at x (nx,) is u (nu,); return the linearized command at x."""
        row = np.concatenate([x, u])
        self._recent.add(row, self.forgetting)
        self._all.add(row, 1.0)
        weight = self._recent.count / (self._recent.count + self.prior)
        S = weight * self._recent.covariance + (1.0 - weight) * self._all.covariance
        n, mean = self.nx, self._recent.mean
        S_xx = S[:n, :n] + (1e-9 + 1e-6 * np.trace(S[:n, :n])) * np.eye(n)
        command: Array = mean[n:] + S[n:, :n] @ np.linalg.solve(S_xx, x - mean[:n])
        return command


class _Moments:
    """Mean and covariance of rows, weighted exponentially."""

    def __init__(self, size: int):
        self.count, self.mean, self.covariance = 0.0, np.zeros(size), np.zeros((size, size))

    def add(self, row: Array, forgetting: float) -> None:
        self.count = forgetting * self.count + 1.0
        r = row - self.mean
        self.mean = self.mean + r / self.count
        self.covariance += (np.outer(r, row - self.mean) - self.covariance) / self.count


@dataclass(frozen=True, eq=False, slots=True)
class LabeledStep:
    """One tick of teaching: the command that acts (n,), the label (n,) to learn, student's distance from teacher."""

    act: Array
    label: Array
    disagreement: float


class Imitation:
    """The imitation method `settings.method`, one tick after the other.

    Parameters
    ----------
    n : joints
    half : (n,) half the command range
    dt : control period [s]
    """

    def __init__(self, settings: DistillationSettings, n: int, half: Array, dt: float):
        self.settings, self.method, self.dt, self._half = settings, METHODS[settings.method], dt, half
        self.weight = settings.kl_weight
        self._local = LocalGaussian(2 * n, n)
        self._share = 0.0

    def alpha(self, version: int) -> float:
        """Return the teacher's share in the mixture: from alpha_start to alpha_end over alpha_versions policies."""
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
        """Return what acts and what is learned at one tick.

        Parameters
        ----------
        u : (n,) the teacher's command
        label : (n,) its mean command over the next window
        Q : (n, n) its Q_uu
        mu, P : (n,), (n, n) the student's command and precision, None while there is no student
        x : (2n,) = [q; qd]
        version : how many policies have been learned so far
        resting : whether the teacher's reference has arrived
        """
        if mu is None or P is None:
            return LabeledStep(u, label, float("nan"))
        apart = disagreement(mu, label, Q, self._half)
        alone = apart > self.settings.safe_disagreement or not resting
        self._share = 0.0 if alone else self._share + self.dt / RETURN_TIME * (1.0 - self._share)
        if self.method.acts is Acts.TEACHER:
            return LabeledStep(u, label, apart)
        if self.method.acts is Acts.MIXTURE:
            student = self._share * (1.0 - self.alpha(version))
            return LabeledStep(u + student * (mu - u), label, apart)
        if self.method.weight is Weight.CONSTRAINED:
            mu = self._local.predict(x, mu)
            self.weight = kl_weight(label, Q, mu, P, self.settings.kl_step)
        act = u + self._share * (kl_regularized(u, Q, mu, P, self.weight) - u)
        if not self.method.learns_u_lambda:
            return LabeledStep(act, label, apart)
        learned = kl_regularized(label, Q, mu, P, self.weight)
        if self.method.weight is Weight.ADAPTED:
            self._adapt(learned - mu, P)
        return LabeledStep(act, learned, apart)

    def _adapt(self, r: Array, P: Array) -> None:
        """Raise or lower lambda as r (n,), the label less the student's command, exceeds the KL step or not."""
        exceeded = 0.5 * float(r @ P @ r) > self.settings.kl_step
        self.weight = min(LARGEST_KL_WEIGHT, max(1e-3, self.weight * (ADAPTATION if exceeded else 1.0 / ADAPTATION)))
