r"""The estimator interface: dynamics that are learned while the robot moves, and judged by their predictions.

For n joints, m feature coordinates and x = [q; qd; s; sd] (nx = 2 n + 2 m), an estimator keeps a posterior of

    x' ~ N(F [x; u] + f, Sigma),      F (nx, nx + nu), f (nx,), Sigma (nx, nx)

about the present (x, u), from transitions (x, u, x'). Every transition is predicted before it is learned from; the
error r (n,) of the predicted velocities with its covariance P gives the normalised innovation squared (NIS) r^T P^-1 r,
whose mean is n for a model that is right (Bar-Shalom, Li, Kirubarajan 2001, section 5.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..config.sections.dynamics import ConsistencySettings, DynamicsSettings
from ..types import Array, LinearGaussianDynamics, Transition, quick_init
from .consistency import Consistency
from .image_jacobian import FeatureMotion
from .priors.base import Prior
from .priors.nonlinear_model import NonlinearModel


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Innovation:
    """One-step-ahead error r of the velocities (n,) [rad/s] and what was predicted of it.

    covariance (n, n): P of posterior.py; nis = r^T P^-1 r; bound: below it lies 95 % of the NIS of a model that is
    right, with Sigma estimated from d innovations: d n / (d - n + 1) F_0.95(n, d - n + 1) (Hotelling's distribution),
    which is the chi-squared bound for large d.
    """

    error: Array
    covariance: Array
    nis: float
    bound: float


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """What the model predicts of `transition` before it learns from it.

    innovation: its error, covariance and NIS; rho: the noise over Sigma that the uncertain time of the command adds.
    """

    transition: Transition
    innovation: Innovation
    rho: float


class TransitionObserver(Protocol):
    """Is shown every transition that is learned from, for instance to record it."""

    def add(self, transition: Transition) -> None:
        """Take the transition, which is not changed afterwards."""


class Estimator(Protocol):
    """Learns p(x'|x,u) from one transition per control period."""

    @property
    def dt(self) -> float:
        """The control period [s]."""

    @property
    def n(self) -> int:
        """The number of joints."""

    @property
    def m(self) -> int:
        """The number of feature coordinates."""

    @property
    def prior(self) -> Prior:
        """What is believed about the robot before any data."""

    @property
    def features(self) -> FeatureMotion:
        """The image Jacobian and the newest features."""

    @property
    def consistency(self) -> Consistency:
        """How well the predictions came true lately."""

    @property
    def consistency_settings(self) -> ConsistencySettings:
        """What follows from the consistency."""

    @property
    def nis_bound(self) -> float:
        """The 95 % bound of the last innovation's NIS."""

    @property
    def input_gain(self) -> Array:
        """D qd' / d u (n, n) of the last fit, the prior's before the first [rad/s per unit of command]."""

    @property
    def noise_std(self) -> Array:
        """The standard deviation (n,) of the velocity change of one tick [rad/s], beside what the model explains."""

    @property
    def expectation(self) -> tuple[Array, Array]:
        """The velocity change (n,) [rad/s] that the last fit expects where it was made, and the command (nu,) there."""

    @property
    def failed(self) -> bool:
        """Whether the last fit could not be computed from the evidence, which was forgotten then."""

    def reset(self, q: Array | None = None) -> None:
        """Forget everything but the prior, which is taken for the pose q (n,); None: for the pose it has now."""

    def predict(self, transition: Transition, neighbors: Array | None = None, timing_std: float = 0.0) -> Prediction:
        """Compare one transition with the model.

        Parameters
        ----------
        transition
            One control period.
        neighbors
            The commands (2, nu) in effect one period earlier and later; None: not known.
        timing_std
            Standard deviation [s] of the time from which on the command was in effect; 0: known exactly.
        """

    def learn(self, prediction: Prediction) -> Innovation:
        """Learn from what was predicted last; returns its innovation."""

    def fit(self, x: Array, u: Array, X: Array | None = None, U: Array | None = None) -> LinearGaussianDynamics:
        """Return the model about (x (nx,), u (nu,)); a nonlinear prior is linearized along X (H, nx), U (H, nu)."""

    def nonlinear_model(self) -> NonlinearModel:
        """Return phi(x, u), the part of the dynamics that a nonlinear prior knows; always the same one.

        Raises ConfigurationError where the prior is linear or has no expression.
        """

    def residual(self) -> LinearGaussianDynamics:
        """Return F, f, Sigma of one stage with which phi(x, u) + F [x; u] + f is the model of the last fit.

        It is not linearized. The parameters of `nonlinear_model` are those of the last fit from then on.
        """

    def evidence(self) -> dict[str, Array]:
        """Return all that was learned, as arrays."""

    def restore(self, evidence: dict[str, Array]) -> None:
        """Take up what `evidence` returned, here or in another process with the same robot and settings."""

    def update_settings(self, settings: DynamicsSettings) -> None:
        """Take over the dynamic settings, between two ticks."""

    def show_transitions_to(self, observer: TransitionObserver | None) -> None:
        """Show every transition that is learned from to `observer`, before it is learned from; None: to nobody."""
