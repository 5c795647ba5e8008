"""The values that travel along the road from one measurement to one command.

Symbols, used everywhere: n joints, m feature coordinates (two per point), nu commands (= n),
state x = [q; qd; s; sd] of size nx = 2 n + 2 m, command u, horizon H, period dt [s].
Joint arrays follow the order of `Robot.joints`. Arrays are float64.
"""

from __future__ import annotations

import enum
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .exceptions import ShapeError

# All are float64 arrays; the names tell what one holds and its shape.
Array: TypeAlias = NDArray[np.float64]
JointVector: TypeAlias = NDArray[np.float64]  # (n,), in the order of Robot.joints
FeatureVector: TypeAlias = NDArray[np.float64]  # (m,), two image coordinates per point
StateVector: TypeAlias = NDArray[np.float64]  # (nx,), x = [q; qd; s; sd]
CommandVector: TypeAlias = NDArray[np.float64]  # (nu,)
PointVector: TypeAlias = NDArray[np.float64]  # (3,) [m] in the robot's base frame
StateTrajectory: TypeAlias = NDArray[np.float64]  # (H+1, nx)
CommandTrajectory: TypeAlias = NDArray[np.float64]  # (H, nu)
StageParameters: TypeAlias = NDArray[np.float64]  # (H+1, np), see costs/__init__.py
Gain: TypeAlias = NDArray[np.float64]  # derivative of one vector by another: (rows, columns)
Covariance: TypeAlias = NDArray[np.float64]  # square, symmetric, positive semidefinite


def checked(name: str, value: ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """Return `value` as a contiguous float64 array of exactly `shape` (None: any length).

    Raises
    ------
    ShapeError
        It has another shape; the message names it by `name`.
    """
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.ndim != len(shape) or any(w is not None and w != g for w, g in zip(shape, array.shape, strict=True)):
        raise ShapeError(name, shape, array.shape)
    return array


Value = TypeVar("Value")


def quick_init(cls: type[Value]) -> type[Value]:
    """Make instances of a frozen dataclass with slots in a fraction of the time, for values that every tick makes.

    The `__init__` of a frozen dataclass stores each field by a call of object.__setattr__; thirteen fields cost as much
    as six operations of numpy. The one made here assigns them while the new object is of a class with the same slots
    that is not frozen, and ends by making it one of `cls`.
    """
    names, scope = fields(cls), dict[str, Any]()  # type: ignore[arg-type]  # any class in its signature
    scope["frozen"], scope["open"] = cls, type(cls.__name__, (), {"__slots__": [field.name for field in names]})
    scope["set_class"], scope["MISSING"], scope["plain"] = object.__dict__["__class__"].__set__, MISSING, cls.__init__
    arguments, values, body = ["self"], ["self"], ["set_class(self, open)"]
    for one in names:
        name, value = one.name, one.name
        if one.default_factory is not MISSING:
            scope[f"make_{name}"] = one.default_factory
            value = f"make_{name}() if {name} is MISSING else {name}"
        scope[f"default_{name}"] = one.default
        optional = one.default is not MISSING or one.default_factory is not MISSING
        arguments.append(f"{name}=default_{name}" if optional else name)
        values.append(value)
        body.append(f"self.{name} = {value}")
    of_subclass = f"if self.__class__ is not frozen: return plain({', '.join(values)})"  # which may have other slots
    lines = "\n    ".join([f"def __init__({', '.join(arguments)}):", of_subclass, *body, "self.__class__ = frozen"])
    exec(lines, scope)
    init: Any = scope["__init__"]
    init.__qualname__, init.__annotations__ = f"{cls.__qualname__}.__init__", cls.__init__.__annotations__
    cls.__init__ = init  # type: ignore[method-assign]  # of every instance from now on
    return cls


@dataclass(frozen=True, eq=False, slots=True)
class FeatureFrame:
    """Camera features of one image: s (m,) image coordinates and confidence (m/2,) in [0, 1] per point.

    `stamp` [s] is the time of exposure, in the clock of the joint states.
    """

    stamp: float
    points: FeatureVector
    confidence: Array


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """What the robot reported at `stamp` [s]: q (n,) [rad or m], qd (n,) [rad/s or m/s], and new feature frames.

    uncontrolled (k,) [rad or m]: positions of the joints of `Robot.uncontrolled`, NaN for those that were not reported;
    None where there are none, or none was reported.
    """

    stamp: float
    q: JointVector
    qd: JointVector
    frames: tuple[FeatureFrame, ...] = ()
    uncontrolled: JointVector | None = None

    def placed(self, r: JointVector | None) -> Observation:
        """Return the observation with r (k,) for `uncontrolled` where this one does not say."""
        if r is None or self.uncontrolled is not None:
            return self
        return Observation(self.stamp, self.q, self.qd, self.frames, r)


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Transition:
    """One control period: x (nx,), the applied command u (nu,), and x_next (nx,); `stamp` [s] belongs to x."""

    stamp: float
    x: StateVector
    u: CommandVector
    x_next: StateVector


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class LinearGaussianDynamics:
    """p(x'|x,u) = N(F [x; u] + f, Sigma) for every stage of a horizon.

    F (H, nx, nx+nu), f (H, nx), Sigma (H, nx, nx); a leading length of 1 holds for every stage.
    """

    F: Array
    f: Array
    Sigma: Array

    def at(self, stage: int) -> tuple[Array, Array, Array]:
        """Return F (nx, nx+nu), f (nx,), Sigma (nx, nx) of one stage."""
        F, f, Sigma = self.F, self.f, self.Sigma
        return F[stage if len(F) > 1 else 0], f[stage if len(f) > 1 else 0], Sigma[stage if len(Sigma) > 1 else 0]

    def predict(self, x: StateVector, u: CommandVector, stage: int = 0) -> StateVector:
        """Return the mean of x' (nx,)."""
        F, f, _ = self.at(stage)
        mean: StateVector = F[:, : x.size] @ x + F[:, x.size :] @ u + f
        return mean


class PlanStatus(enum.IntEnum):
    """How the search for a plan ended; where that gave no plan (`Plan.usable`) the last good one stands, shifted.

    CONVERGED: the step without regularization (or with as little as it needs) predicts a decrease of the cost within
    the tolerance, so that the gradient projected on the limits is as small. MAX_ITERATIONS: the plan is better than the
    last one; the iterations were used up, or a larger decrease was predicted than any step size gave. TIME_BUDGET: the
    next iteration would have ended too late; the plan is the best one found. NO_IMPROVEMENT: as MAX_ITERATIONS, but no
    iteration was better than the last plan, shifted and replayed from the state, which is the plan. KL_BOUND: none that
    was found kept the bound on the KL divergence; the plan is the last one, as there. No plan:
    NOT_POSITIVE_DEFINITE: the cost has no minimum along the free commands of some stage; NOT_FINITE: of what was given
    or expanded; INFEASIBLE_BOX: limits of commands cross; DIVERGED: the cost of the replayed last plan is not finite;
    INFEASIBLE_LIMITS: no plan inside the limits of states was found; STALE: the plan of another process is too old.
    """

    CONVERGED = 0
    MAX_ITERATIONS = 1
    TIME_BUDGET = 2
    NOT_POSITIVE_DEFINITE = 3
    NOT_FINITE = 4
    INFEASIBLE_BOX = 5
    DIVERGED = 6
    NO_IMPROVEMENT = 7
    KL_BOUND = 8
    INFEASIBLE_LIMITS = 9
    STALE = 10


USABLE = (
    PlanStatus.CONVERGED,
    PlanStatus.MAX_ITERATIONS,
    PlanStatus.TIME_BUDGET,
    PlanStatus.NO_IMPROVEMENT,
    PlanStatus.KL_BOUND,
)


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """A local controller u_t = u_hat_t + K_t (x - x_hat_t) + K_u_t (u_{t-1} - u_hat_{t-1}) for t = 0 .. H-1.

    x_hat (H+1, nx), u_hat (H, nu), K (H, nu, nx), K_u (H, nu, nu) feedback on the previous command,
    k (H, nu) the last open-loop step, Q_uu (H, nu, nu) the command's curvature (the maximum-entropy precision).
    """

    x_hat: StateTrajectory
    u_hat: CommandTrajectory
    K: Gain
    K_u: Gain
    k: Array
    Q_uu: Array
    cost: float
    status: PlanStatus
    iterations: int

    @property
    def usable(self) -> bool:
        """Whether it was planned in this tick, to the end or as far as the budget allowed."""
        return self.status in USABLE


class DecisionStatus(enum.IntEnum):
    """How a decision came to be."""

    OK = 0
    WARMING_UP = 1
    PLANNER_FAILED = 2
    NO_TARGET = 3


@quick_init
@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """A requested command u (nu,), not yet supervised, computed from the observation stamped `stamp` [s].

    plan: the plan it was taken from; nis: the normalised innovation squared of the last transition and nis_dof its
    degrees of freedom (0: no transition in this tick); innovation (n,): the error behind it [rad/s]; seconds: {part of
    the tick: its duration [s]}; admitted: the observation with the velocities that the controller believes, None where
    it believes all of them. With the effort interface, inertia (nu, nu) [kg m^2 or kg] is M = (d qdd / d u)^-1 of the
    last fit that was consistent, and rotors (nu,) what was learned of the rotors' part of it; None where nothing is
    known. excited: how many joints carry excitation, motion on purpose to learn from; remarks: what is to be told of
    this tick.
    """

    stamp: float
    u: CommandVector
    status: DecisionStatus
    plan: Plan | None = None
    nis: float = float("nan")
    nis_dof: int = 0
    innovation: JointVector | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    admitted: Observation | None = None
    inertia: Array | None = None
    rotors: JointVector | None = None
    excited: int = 0
    remarks: tuple[str, ...] = ()
