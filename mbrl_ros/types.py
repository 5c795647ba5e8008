"""The values that travel along the road from one measurement to one command.

Symbols, used everywhere: n joints, m feature coordinates (two per point), nu commands (= n),
state x = [q; qd; s; sd] of size nx = 2 n + 2 m, command u, horizon H, period dt [s].
Joint arrays follow the order of `Robot.joints`. Arrays are float64.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from .exceptions import ShapeError

Array = np.ndarray


def checked(name: str, value, shape: tuple) -> Array:
    """`value` as a contiguous float64 array of exactly `shape` (None: any length), else ShapeError."""
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.ndim != len(shape) or any(w is not None and w != g for w, g in zip(shape, array.shape)):
        raise ShapeError(name, shape, array.shape)
    return array


@dataclass(frozen=True, eq=False, slots=True)
class FeatureFrame:
    """Camera features of one image: s (m,) image coordinates and confidence (m/2,) in [0, 1] per point.

    `stamp` [s] is the time of exposure, in the clock of the joint states.
    """

    stamp: float
    points: Array
    confidence: Array


@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """What the robot reported at `stamp` [s]: q (n,) [rad or m], qd (n,) [rad/s or m/s], and new feature frames."""

    stamp: float
    q: Array
    qd: Array
    frames: tuple[FeatureFrame, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Transition:
    """x (nx,) --u (nu,), in effect for one period--> x_next (nx,). `stamp` [s] belongs to x."""

    stamp: float
    x: Array
    u: Array
    x_next: Array


@dataclass(frozen=True, eq=False, slots=True)
class LinearGaussianDynamics:
    """p(x'|x,u) = N(F [x; u] + f, Sigma) for every stage of a horizon.

    F (H, nx, nx+nu), f (H, nx), Sigma (H, nx, nx); a leading length of 1 holds for every stage.
    """

    F: Array
    f: Array
    Sigma: Array

    def at(self, stage: int) -> tuple[Array, Array, Array]:
        """(F, f, Sigma) of one stage."""
        return tuple(a[stage if a.shape[0] > 1 else 0] for a in (self.F, self.f, self.Sigma))

    def predict(self, x: Array, u: Array, stage: int = 0) -> Array:
        """The mean of x' (nx,)."""
        F, f, _ = self.at(stage)
        return F[:, : x.size] @ x + F[:, x.size :] @ u + f


class PlanStatus(enum.IntEnum):
    """How a plan came to be. Everything above MAX_ITERATIONS means: the last good plan, shifted."""

    CONVERGED = 0
    MAX_ITERATIONS = 1
    TIME_BUDGET = 2
    NOT_POSITIVE_DEFINITE = 3
    NOT_FINITE = 4
    INFEASIBLE_BOX = 5
    DIVERGED = 6
    NO_IMPROVEMENT = 7


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """A local controller u_t = u_hat_t + K_t (x - x_hat_t) + K_u_t (u_{t-1} - u_hat_{t-1}) for t = 0 .. H-1.

    x_hat (H+1, nx), u_hat (H, nu), K (H, nu, nx), K_u (H, nu, nu) feedback on the previous command,
    k (H, nu) the last open-loop step, Q_uu (H, nu, nu) the command's curvature (the maximum-entropy precision).
    """

    x_hat: Array
    u_hat: Array
    K: Array
    K_u: Array
    k: Array
    Q_uu: Array
    cost: float
    status: PlanStatus
    iterations: int

    @property
    def usable(self) -> bool:
        return self.status in (
            PlanStatus.CONVERGED,
            PlanStatus.MAX_ITERATIONS,
            PlanStatus.TIME_BUDGET,
            PlanStatus.NO_IMPROVEMENT,
        )


class DecisionStatus(enum.IntEnum):
    """What a controller says of its own decision."""

    OK = 0
    WARMING_UP = 1
    PLANNER_FAILED = 2
    NO_TARGET = 3


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """A command u (nu,), wished for but not yet supervised, computed from the observation stamped `stamp` [s].

    `nis` is the normalised squared innovation of the last transition and `nis_dof` its degrees of freedom
    (0: no transition this tick). `seconds` maps a part of the tick to its duration [s]. `admitted` is the observation with
    the velocities the controller believes, None where it believes them all; `inertia` (nu, nu) [kg m^2 or kg] is
    M = (d qdd / d u)^-1 of the last fit that could be trusted, `rotors` (nu,) what was learned of the rotors' part of it; None
    where there is none (effort interface).
    """

    stamp: float
    u: Array
    status: DecisionStatus
    plan: Plan | None = None
    nis: float = float("nan")
    nis_dof: int = 0
    innovation: Array | None = None
    seconds: dict = field(default_factory=dict)
    admitted: Observation | None = None
    inertia: Array | None = None
    rotors: Array | None = None
