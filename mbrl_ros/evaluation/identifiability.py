r"""What transitions tell about the input gain and the delay, before a prior that is fitted to them acts on a robot.

Ridge regression of the velocities' changes, with what is known before as center J and spread s (Bishop 2006, sec. 3.3),

    D - J [x; u] = W^T z + e,   z = [q; qd; u / u_scale; 1],   W_ij ~ N(0, s_i^2),   e_j ~ N(0, sigma_j^2)

has the posterior covariance C_j = sigma_j^2 (Z^T Z / 2 + sigma_j^2 diag(s)^-2)^-1: rows count half, since no model is
exact and their errors are correlated. With the gain B = dD / d(u / u_scale),

    the error of joint j     std(B_jj) / |B_jj|
    of the worst direction   max over v of |std(B v)| / |B v|: commands go together in a closed loop
    condition                of Z^T Z for the commands, given state and offset

How much the model itself may be off shows in the half of the time that it is fitted to: `spread` is, for every
coefficient's row, sqrt(C_ii + ((W' - W'')_i / 2)^2), the mean square over the joints.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..config import registry
from ..config.sections.control import ControlSettings
from ..data import Recording
from ..data.dataset import Dataset
from ..dynamics.delay_estimation import DelayEstimate, DelayEstimator
from ..dynamics.priors.learned import regressors, wide_spread
from ..robots import Robot
from ..types import Array

# standard error over size above which the input gain of a joint is not known, and that of a direction of the commands
GAIN_ERROR, DIRECTION_ERROR = 0.2, 0.5
GAIN_HELD = 1e-4  # of its spread: by how much a gain changes that the data do not tell
KNOWN_POSES = 100  # at most, over which the known gain is averaged
WHOLE_DELAY = 0.1  # [ticks] from a whole number below which a delay is that


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class InputGainFit:
    """The posterior of the gain B of n joints.

    Attributes
    ----------
    gain, std : (n,) of B_jj and of its posterior [rad/s^2 or m/s^2 by a full command]
    worst : relative error of the worst direction of the commands
    condition : of what the data tell of the commands
    spread : (3n+1,) of the coefficients by [q; qd; u / u_scale; 1] [rad/s or m/s per tick]
    """

    gain: Array
    std: Array
    worst: float
    condition: float
    spread: Array

    @property
    def errors(self) -> Array:
        """The standard errors (n,) over the size of the gain."""
        return self.std / np.maximum(np.abs(self.gain), 1e-12)

    @property
    def told(self) -> bool:
        """Whether the data tell the gain, of every joint and of every direction."""
        return bool((self.errors <= GAIN_ERROR).all() and self.worst <= DIRECTION_ERROR)

    def unknown(self, joints: Sequence[str]) -> list[str]:
        """Return the joints whose gain is not known, by name."""
        return [joint for joint, error in zip(joints, self.errors, strict=True) if not error <= GAIN_ERROR]


def judge_gain(data: Dataset, u_scale: Array, known: tuple[Array, Array] | None = None) -> InputGainFit:
    """Return what transitions tell of the input gain.

    Parameters
    ----------
    data
        Transitions of n joints.
    u_scale
        A large command (n,).
    known
        J (n, 3n) and s (3n+1,) of the module's docstring; None: of a robot of which nothing is known.
    """
    n, dt = len(u_scale), data.owner.dt
    J, s = (np.zeros((n, 3 * n)), wide_spread(n, dt)) if known is None else known
    W, noise, Z = _fitted(data, u_scale, J, s)
    middle = len(data) // 2
    halves = [_fitted(data.part(rows), u_scale, J, s)[0] for rows in (slice(None, middle), slice(middle, None))]
    information = 0.5 * (Z.T @ Z)
    C = np.array([v * np.linalg.inv(information + v * np.diag(s**-2.0)) for v in noise])  # (n, 3n+1, 3n+1)
    commands = slice(2 * n, 3 * n)
    B = W[commands].T + J[:, 2 * n :] * u_scale
    std = np.sqrt(C[np.arange(n), 2 * n + np.arange(n), 2 * n + np.arange(n)])
    variance = np.mean([np.diag(c) for c in C], axis=0)
    apart = np.mean(((halves[0] - halves[1]) / 2.0) ** 2, axis=1)
    directions = np.linalg.eigh(C[:, commands, commands].mean(axis=0))[1]
    spreads = np.sqrt(np.einsum("jik,id,kd->d", C[:, commands, commands], directions, directions))
    worst = float((spreads / np.maximum(np.linalg.norm(B @ directions, axis=0), 1e-12)).max())
    others = np.r_[0 : 2 * n, 3 * n]
    cross = np.linalg.pinv(information[np.ix_(others, others)]) @ information[others, commands]
    told = information[commands, commands] - information[commands, others] @ cross
    condition = float(np.linalg.cond(told))
    return InputGainFit(np.diag(B) / dt, std / dt, worst, condition, np.sqrt(variance + apart))


def known_model(robot: Robot, data: Dataset) -> tuple[Array, Array] | None:
    """Return J (n, 3n) and s (3n+1,): what is known before any data, over the poses of `data`; None without a URDF."""
    if not robot.urdf:
        return None
    integrator = registry.load("prior", "integrator")
    n, dt = robot.n, data.owner.dt
    prior = integrator.build(integrator.Settings(), robot, dt)
    jacobians, spreads = [], []
    for x in data.X[:: max(1, len(data) // KNOWN_POSES)]:
        prior.move_to(x[:n])
        jacobians.append(prior.jacobian)
        spreads.append(prior.spread)
    return np.mean(jacobians, axis=0), np.mean(spreads, axis=0)


def held(known: tuple[Array, Array], n: int) -> tuple[Array, Array]:
    """Return what is known (`known_model`) with the gain of n joints so certain that no data change it."""
    J, spread = known
    return J, np.concatenate([spread[: 2 * n], GAIN_HELD * spread[2 * n : 3 * n], spread[3 * n :]])


def delay_of(recording: Recording) -> DelayEstimate | None:
    """Return the delay from u to motion at the end of a recording; None without commands, or with too little."""
    if recording.u is None:
        return None
    estimator = DelayEstimator(len(recording.joints), recording.period)
    for stamp, q, qd, u in zip(recording.stamps, recording.q, recording.qd, recording.u, strict=True):
        estimator.update(float(stamp), q, qd, u)
    return estimator.estimate()


def aligned(recording: Recording, configured: float | None = None) -> tuple[Recording, float, bool]:
    """Return a recording with the commands when they act, the delay [ticks], and whether the recording told it.

    Parameters
    ----------
    recording
        With the commands when they were given.
    configured
        The delay [ticks] where the recording does not tell it; None: `control.delay` for commands of a topic, and 0 for
        efforts that were measured.
    """
    found = delay_of(recording)
    if found is not None and found.usable:
        ticks = max(found.ticks, 0.0)
        whole = float(round(ticks))
        ticks = whole if abs(ticks - whole) <= max(WHOLE_DELAY, 2.0 * found.std) else ticks
        return recording.delayed(ticks), ticks, True
    if configured is None:
        configured = ControlSettings().delay if recording.u_source.startswith("topic ") else 0.0
    return recording.delayed(configured), configured, False


def _fitted(data: Dataset, u_scale: Array, J: Array, s: Array) -> tuple[Array, Array, Array]:
    """Return the mean W (3n+1, n), the noise's variances (n,) and the regressors Z (N, 3n+1)."""
    Z = regressors(data.X, data.U, u_scale)
    left = data.D - np.hstack([data.X, data.U]) @ J.T
    noise = np.zeros(len(u_scale))
    W = np.zeros((Z.shape[1], len(u_scale)))
    for _ in range(3):  # the noise and the coefficients in turn
        for j, variance in enumerate(noise):
            W[:, j] = np.linalg.lstsq(
                np.vstack([Z, np.diag(np.sqrt(max(variance, 1e-16)) / s)]),
                np.concatenate([left[:, j], np.zeros(Z.shape[1])]),
                rcond=None,
            )[0]
        noise = np.mean((left - Z @ W) ** 2, axis=0)
    return W, np.maximum(noise, 1e-16), Z
