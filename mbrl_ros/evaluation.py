"""How well a model predicts a recording, tick by tick, before it has learned from the tick.

For every transition (x_k, u_k, x_k+1) the model is fitted about (x_k, u_k) with what came before, then scored:

    nmse_1_qd    sum |qd_k+1 - qd^_k+1|^2 / sum |qd_k+1 - qd_k|^2        1: no better than "no change"
    nmse_10_q    sum |q_k+10 - q^_k+10|^2 / sum |q_k+10 - q_k|^2         rolled out with the commands that followed
    nll          mean of -log N(qd_k+1; qd^_k+1, Sigma_pred) [nats per tick]
    coverage_95  share of the ticks whose NIS lies below its 95 % bound

and only then learns it. "No change" scores 1 by definition; "constant velocity" (qd' = qd, q rolled) scores 1 in
nmse_1_qd and is the one to beat in nmse_10_q. The first `WARM_UP` seconds are learned from but not scored.

Of a recording without a robot description only scales are known: a command's range is taken from the recording, and
an acceleration by an unknown command has mean zero, since neither the sign nor the unit of a logged current or torque
is certain, and much of a logged torque holds the arm against gravity.

Measured velocities are noisy, on both sides of the regression. Noise of qd_k on the right (errors in variables) pulls
the learned damping towards what predicts the *measured* qd_k+1 best: the next measurement returns from the noise of the
last. That is the right coefficient for prediction from the measured state, which is what a controller has. Positions are
nearly free of noise, so q of the long prediction tests the model itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import plugins
from .data import Recording
from .dynamics import OnlineDynamics
from .robots import Robot
from .settings import DynamicsSettings
from .types import Array

WARM_UP = 1.0  # [s]
STEPS = 10  # of the long prediction
ESTIMATORS = ("refit", "output_error", "frozen")
# How strongly an unknown full command may accelerate a joint [rad/s^2], one standard deviation.
UNKNOWN_STRENGTH = 60.0
# ... and how steeply friction may slow it [1/s]: dry friction about zero velocity is steep.
UNKNOWN_DAMPING = 15.0


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """What the module's docstring defines; nmse_1_qd_all also counts the warm-up. `ticks` were scored."""

    nmse_1_qd: float
    nmse_10_q: float
    nll: float
    coverage_95: float
    nmse_1_qd_all: float
    ticks: int

    def to_json(self) -> dict[str, float]:
        return {key: getattr(self, key) for key in ("nmse_1_qd", "nmse_10_q", "nll", "coverage_95")}


@dataclass(frozen=True, eq=False, slots=True)
class Trace:
    """Per scored transition: stamps (N,) [s], change and error (N, n) [rad/s], std (N, n) predicted, nis and bound (N,)."""

    stamps: Array
    change: Array
    error: Array
    std: Array
    nis: Array
    bound: Array


def anonymous_robot(recording: Recording) -> Robot:
    """A robot of which only what the recording shows is known: joint names, and ranges of velocities and commands."""
    n = len(recording.joints)
    unlimited, one = np.full(n, np.inf), np.ones(n)
    speed = np.maximum(np.abs(recording.qd).max(axis=0), 1e-6)
    reach = one if recording.u is None else np.abs(recording.u).max(axis=0)
    reach = np.where(reach > 0.0, reach, 1.0)
    return Robot(recording.joints, -unlimited, unlimited, speed, reach, one, one, recording.interface, -reach, reach,
                 urdf="", root="", tip="", tip_offset=np.zeros(3))


def unknown_robot_prior(robot: Robot, dt: float):
    """The integrator prior with its mean effect of a command near zero and a wide spread."""
    integrator = plugins.load("dynamics.priors", "integrator")
    tiny = 1e-3
    settings = integrator.Settings(strength=(tiny,), strength_spread=UNKNOWN_STRENGTH / tiny,
                                   damping_spread=UNKNOWN_DAMPING)
    return integrator.build(settings, robot, dt)


def evaluate(recording: Recording, dynamics: OnlineDynamics, *, warm_up: float = WARM_UP) -> tuple[Scores, Trace]:
    """Scores and trace of `dynamics` (reset first) on `recording`."""
    dynamics.reset()
    n = len(recording.joints)
    stamps, changes, errors, stds, nis, bounds, nlls = [], [], [], [], [], [], []
    far_error = far_change = 0.0
    joined = recording.joined()
    whole = np.concatenate([[0], np.cumsum(~joined)])  # breaks before sample k
    u = np.zeros_like(recording.q) if recording.u is None else recording.u
    X = np.hstack([recording.q, recording.qd])
    for transition, k in zip(recording.transitions(), np.flatnonzero(joined)):
        model = dynamics.fit(transition.x, transition.u)
        if transition.stamp >= warm_up and k + STEPS < len(X) and whole[k + STEPS] == whole[k]:
            x = transition.x
            for j in range(k, k + STEPS):
                x = model.predict(x, u[j])
            far_error += float(((X[k + STEPS, :n] - x[:n]) ** 2).sum())
            far_change += float(((X[k + STEPS, :n] - X[k, :n]) ** 2).sum())
        innovation = dynamics.update(transition)
        log_determinant = np.linalg.slogdet(2.0 * np.pi * innovation.covariance)[1]
        stamps.append(transition.stamp)
        changes.append(transition.x_next[n:] - transition.x[n:])
        errors.append(innovation.error)
        stds.append(np.sqrt(np.diag(innovation.covariance)))
        nis.append(innovation.nis)
        bounds.append(innovation.bound)
        nlls.append(0.5 * (innovation.nis + log_determinant))
    trace = Trace(*map(np.array, (stamps, changes, errors, stds, nis, bounds)))
    return _scores(trace, np.array(nlls), far_error, far_change, warm_up)


def _scores(trace: Trace, nll: Array, far_error: float, far_change: float, warm_up: float) -> tuple[Scores, Trace]:
    scored = trace.stamps >= warm_up
    if scored.sum() < 10:
        scored[:] = True
    kept = Trace(*(getattr(trace, name)[scored] for name in ("stamps", "change", "error", "std", "nis", "bound")))
    return Scores(_ratio((kept.error**2).sum(), (kept.change**2).sum()), _ratio(far_error, far_change),
                  float(nll[scored].mean()), float((kept.nis <= kept.bound).mean()),
                  _ratio((trace.error**2).sum(), (trace.change**2).sum()), int(scored.sum())), kept


def constant_velocity(recording: Recording, warm_up: float = WARM_UP) -> float:
    """nmse_10_q of q + 10 dt qd; by the measured stamps."""
    q, qd, stamps = recording.q, recording.qd, recording.stamps
    breaks = np.concatenate([[0], np.cumsum(~recording.joined())])
    k = np.flatnonzero((stamps[:-STEPS] >= warm_up) & (breaks[STEPS:] == breaks[:-STEPS]))
    moved = q[k + STEPS] - q[k]
    return _ratio(((moved - qd[k] * (stamps[k + STEPS] - stamps[k])[:, None]) ** 2).sum(), (moved**2).sum())


def _ratio(error: float, change: float) -> float:
    return float(error / change) if change > 0.0 else float("nan")
