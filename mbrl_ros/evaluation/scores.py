r"""How well a model predicts a recording, tick by tick, before it has learned from the tick.

For every transition (x_k, u_k, x_k+1) the model is fitted about (x_k, u_k) with what came before, then scored:

    nmse_1_qd    sum |qd_k+1 - qd^_k+1|^2 / sum |qd_k+1 - qd_k|^2        1: no better than "no change"
    nmse_10_q    sum |q_k+10 - q^_k+10|^2 / sum |q_k+10 - q_k|^2         rolled out with the commands that followed
    nll          mean of -log N(qd_k+1; qd^_k+1, Sigma_pred) [nats per tick]
    coverage_95  share of the ticks whose normalised innovation squared (NIS) lies below its 95 % bound

and only then learns it. A model that is learned offline (a prior with a file) is fitted to one half of the recording
and scored on the other, both ways round. "No change" scores 1 by definition; "constant velocity" (qd' = qd, q rolled)
scores 1 in nmse_1_qd and is the one to beat in nmse_10_q. The first SCORE_WARM_UP seconds are
learned from but not scored.

Of a recording without a robot description only scales are known: a command's range is taken from the recording, and
an acceleration by an unknown command has mean zero, since neither the sign nor the unit of a logged current or torque
is certain, and much of a logged torque holds the arm against gravity.

Measured velocities are noisy, on both sides of the regression. Noise of qd_k on the right (errors in variables) pulls
the learned damping towards what predicts the *measured* qd_k+1 best: the next measurement returns from the noise of the
last. That is the right coefficient for prediction from the measured state, which is what a controller has. Positions
are nearly free of noise, so q of the long prediction tests the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..config import registry
from ..config.sections.dynamics import DynamicsSettings
from ..data import Recording
from ..data.dataset import Dataset
from ..dynamics import OnlineDynamics
from ..dynamics.priors import Prior
from ..dynamics.priors.learned import WIDE
from ..robots import Robot
from ..robots.undescribed import undescribed_robot
from ..types import Array, LinearGaussianDynamics

SCORE_WARM_UP = 1.0  # [s]
STEPS = 10  # of the long prediction
ESTIMATORS = ("refit", "output_error", "frozen", "known")
WITHOUT_U = "_without_u"  # appended to an estimator that was not shown the commands
LEARNED = ("global_linear", "gmm", "ensemble", "distilled")


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """The scores that the module's docstring defines; nmse_1_qd_all also counts the warm-up. `ticks` were scored."""

    nmse_1_qd: float
    nmse_10_q: float
    nll: float
    coverage_95: float
    nmse_1_qd_all: float
    ticks: int

    def to_json(self) -> dict[str, float]:
        """Return the four scores by name."""
        return {
            "nmse_1_qd": self.nmse_1_qd,
            "nmse_10_q": self.nmse_10_q,
            "nll": self.nll,
            "coverage_95": self.coverage_95,
        }


@dataclass(frozen=True, eq=False, slots=True)
class Trace:
    """What was predicted of N transitions of n joints.

    Attributes
    ----------
    stamps : (N,) [s]
    change, error : (N, n) of the velocities over one tick, and of their prediction [rad/s or m/s]
    std : (N, n) predicted standard deviation of the error
    nis, bound : (N,) normalised innovation squared and its 95 % bound
    nll : (N,) negative log likelihood [nats]
    far_error, far_change : (N,) [rad^2 or m^2] squared error and motion over STEPS ticks, NaN where a gap is in between
    """

    stamps: Array
    change: Array
    error: Array
    std: Array
    nis: Array
    bound: Array
    nll: Array
    far_error: Array
    far_change: Array

    def where(self, rows: NDArray[Any]) -> Trace:
        """Return the transitions `rows` (a mask or indices)."""
        return Trace(*(column[rows] for column in self._columns()))

    def followed_by(self, other: Trace) -> Trace:
        """Return these transitions and those of `other` behind them."""
        return Trace(*(np.concatenate(pair) for pair in zip(self._columns(), other._columns(), strict=True)))

    def _columns(self) -> tuple[Array, ...]:
        """Return the attributes in their order."""
        return (
            self.stamps,
            self.change,
            self.error,
            self.std,
            self.nis,
            self.bound,
            self.nll,
            self.far_error,
            self.far_change,
        )

    def scored(self, warm_up: float = SCORE_WARM_UP) -> Trace:
        """Return the transitions after the first `warm_up` seconds, or all where hardly any come after."""
        late = self.stamps >= warm_up
        return self.where(late) if late.sum() >= 10 else self

    def scores(self, warm_up: float = SCORE_WARM_UP) -> Scores:
        """Score what comes after the first `warm_up` seconds."""
        kept = self.scored(warm_up)
        return Scores(
            _ratio((kept.error**2).sum(), (kept.change**2).sum()),
            _ratio(np.nansum(kept.far_error), np.nansum(kept.far_change)),
            float(kept.nll.mean()),
            float((kept.nis <= kept.bound).mean()),
            _ratio((self.error**2).sum(), (self.change**2).sum()),
            len(kept.stamps),
        )


class LearnedPrior(Protocol):
    """What the module of a prior that is fitted to data offers (dynamics/priors)."""

    def fit(self, data: Dataset, u_scale: Array, progress: Any = None) -> dict[str, Array]:
        """Return the arrays of a model of `data`; u_scale (n,) is a large command, `progress` wraps iterations."""

    def from_arrays(self, arrays: dict[str, Array], robot: Robot, dt: float, spread_scale: float = 1.0) -> Prior:
        """Return the prior of a model, with its spread times `spread_scale`."""


def learned_prior(kind: str) -> LearnedPrior:
    """Return the module of the fitted prior `kind`, one of LEARNED."""
    module: LearnedPrior = registry.load("prior", kind)
    return module


def anonymous_robot(recording: Recording) -> Robot:
    """Make a robot of what the recording shows alone: joint names, and ranges of velocities and commands."""
    return anonymous(recording.joints, recording.interface, recording.qd, recording.u)


def anonymous(joints: tuple[str, ...], interface: str, qd: Array, u: Array | None) -> Robot:
    """Make a robot of its joints' names and what velocities (T, n) and commands (T, n), None without, show."""
    speed = np.maximum(np.abs(qd).max(axis=0), 1e-6)
    reach = np.zeros(len(speed)) if u is None else np.abs(u).max(axis=0)
    reach = np.where(reach > 0.0, reach, 1.0)
    return undescribed_robot(joints, interface, -reach, reach, speed, reach)


def unknown_robot_prior(robot: Robot, dt: float) -> Prior:
    """Make the integrator prior with a mean effect of commands near zero and the wide spread of an unknown robot."""
    integrator = registry.load("prior", "integrator")
    stiffness, damping, strength, offset = WIDE
    tiny = 1e-3
    settings = integrator.Settings(
        strength=(tiny,),
        strength_spread=strength / tiny,
        stiffness_spread=stiffness,
        damping_spread=damping,
        offset_spread=offset,
    )
    prior: Prior = integrator.build(settings, robot, dt)
    return prior


def evaluate(
    recording: Recording,
    dynamics: OnlineDynamics,
    watch: Callable[[int, LinearGaussianDynamics], None] | None = None,
) -> Trace:
    """Run `dynamics` through `recording`, predicting each transition before it is learned; it is reset first.

    `watch` is called with the number of every sample that starts a transition and the model fitted about it.
    """
    dynamics.reset()
    n = len(recording.joints)
    joined = recording.joined()
    breaks = np.concatenate([[0], np.cumsum(~joined)])  # before sample k
    u = np.zeros_like(recording.q) if recording.u is None else recording.u
    X = np.hstack([recording.q, recording.qd])
    rows = []
    for transition, k in zip(recording.transitions(), np.flatnonzero(joined), strict=True):
        model = dynamics.fit(transition.x, transition.u)
        if watch is not None:
            watch(int(k), model)
        far_error = far_change = np.nan
        if k + STEPS < len(X) and breaks[k + STEPS] == breaks[k]:
            x = transition.x
            for j in range(k, k + STEPS):
                x = model.predict(x, u[j])
            far_error = float(((X[k + STEPS, :n] - x[:n]) ** 2).sum())
            far_change = float(((X[k + STEPS, :n] - X[k, :n]) ** 2).sum())
        innovation = dynamics.update(transition)
        log_determinant = float(np.linalg.slogdet(2.0 * np.pi * innovation.covariance)[1])
        rows.append(
            (
                transition.stamp,
                transition.x_next[n:] - transition.x[n:],
                innovation.error,
                np.sqrt(np.diag(innovation.covariance)),
                innovation.nis,
                innovation.bound,
                0.5 * (innovation.nis + log_determinant),
                far_error,
                far_change,
            )
        )
    return Trace(*map(np.array, zip(*rows, strict=True)))


def dynamics_for(recording: Recording, robot: Robot, estimator: str, prior: Prior) -> OnlineDynamics:
    """Make the online dynamics for a recording's rate, with `estimator` (one of ESTIMATORS) and `prior`."""
    return OnlineDynamics(robot, recording.period, DynamicsSettings(estimator=estimator), prior)


def cross_fitted(recording: Recording, robot: Robot, kind: str, progress: Any = None) -> Callable[[str], Trace]:
    """Return the traces, by estimator, of a learned prior: each half predicted with the model fitted to the other half.

    The online estimator runs through all of the recording, so that only the prior is exchanged.
    """
    module = learned_prior(kind)
    middle = 0.5 * recording.duration
    halves = [recording.part(-np.inf, middle), recording.part(middle, np.inf)]
    priors = [
        module.from_arrays(module.fit(Dataset.of(half), robot.command_upper, progress), robot, recording.period)
        for half in halves
    ]

    def trace(estimator: str) -> Trace:
        first, second = (
            evaluate(recording, dynamics_for(recording, robot, estimator, prior)) for prior in reversed(priors)
        )
        return first.where(first.stamps < middle).followed_by(second.where(second.stamps >= middle))

    return trace


def constant_velocity(recording: Recording, warm_up: float = SCORE_WARM_UP) -> float:
    """Return nmse_10_q of the prediction q + 10 dt qd, by the measured stamps."""
    q, qd, stamps = recording.q, recording.qd, recording.stamps
    breaks = np.concatenate([[0], np.cumsum(~recording.joined())])
    late = stamps[:-STEPS] >= warm_up if recording.duration > 2.0 * warm_up else stamps[:-STEPS] >= 0.0
    k = np.flatnonzero(late & (breaks[STEPS:] == breaks[:-STEPS]))
    moved = q[k + STEPS] - q[k]
    return _ratio(((moved - qd[k] * (stamps[k + STEPS] - stamps[k])[:, None]) ** 2).sum(), (moved**2).sum())


def _ratio(error: float, change: float) -> float:
    return float(error / change) if change > 0.0 else float("nan")
