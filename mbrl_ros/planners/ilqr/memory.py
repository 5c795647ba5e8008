"""The memory of one planner: the arrays and numbers that go in and out of a tick, the same for every solver.

The names are those of `struct Tick` in tick.h; the compiled solver works on these arrays in place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from ...types import Array, PlanStatus

FAILED = (PlanStatus.NOT_POSITIVE_DEFINITE, PlanStatus.NOT_FINITE, PlanStatus.DIVERGED, PlanStatus.INFEASIBLE_BOX)
COARSE = 1e-2  # weight with which the barrier of the state limits begins [cost]


@dataclasses.dataclass(eq=False, slots=True)
class Memory:
    """Arrays in place: the problem of a tick, and the plan.

    x0 (nx,), u_previous (nu,); theta, the parameters of the model; F (H, nx, nx+nu), f (H, nx), Sigma (H, nx, nx); p
    (H+1, np); limits u_lower, u_upper (nu,), x_lower, x_upper (nx,) and half_range (nx,), half the distance of the
    latter two (1 where it is infinite); the plan x_hat (H+1, nx), u_hat (H+1, nu), which begins with u_{-1}, K (H, nu,
    nx), K_u (H, nu, nu), k (H, nu), Q_uu (H, nu, nu), and the multipliers of the state limits (H+1, limits).
    """

    x0: Array
    u_previous: Array
    theta: Array
    F: Array
    f: Array
    Sigma: Array
    p: Array
    u_lower: Array
    u_upper: Array
    x_lower: Array
    x_upper: Array
    half_range: Array
    x_hat: Array
    u_hat: Array
    K: Array
    K_u: Array
    k: Array
    Q_uu: Array
    multipliers: Array

    @classmethod
    def allocate(
        cls,
        horizon: int,
        parameters: int,
        u_lower: Array,
        u_upper: Array,
        x_lower: Array,
        x_upper: Array,
        theta: Array,
        limits: int,
    ) -> Memory:
        """Make zeros for H = `horizon`, np = `parameters` and so many `limits` of states; copy limits, hold theta."""
        H, nx, nu = horizon, x_lower.size, u_lower.size
        half_range = np.where(np.isfinite(x_upper - x_lower), 0.5 * (x_upper - x_lower), 1.0)
        return cls(
            x0=np.zeros(nx),
            u_previous=np.zeros(nu),
            theta=theta,
            F=np.zeros((H, nx, nx + nu)),
            f=np.zeros((H, nx)),
            Sigma=np.zeros((H, nx, nx)),
            p=np.zeros((H + 1, parameters)),
            u_lower=np.array(u_lower),
            u_upper=np.array(u_upper),
            x_lower=np.array(x_lower),
            x_upper=np.array(x_upper),
            half_range=np.maximum(half_range, 1e-9),
            x_hat=np.zeros((H + 1, nx)),
            u_hat=np.zeros((H + 1, nu)),
            K=np.zeros((H, nu, nx)),
            K_u=np.zeros((H, nu, nu)),
            k=np.zeros((H, nu)),
            Q_uu=np.zeros((H, nu, nu)),
            multipliers=np.zeros((H + 1, limits)),
        )

    def wrong(self, stages: int, noise: bool) -> PlanStatus | None:
        """Tell what is wrong with the problem, with F and f of `stages` stages, and with Sigma if `noise` is used."""
        if not np.all(self.u_lower <= self.u_upper):
            return PlanStatus.INFEASIBLE_BOX
        given = [self.x0, self.u_previous, self.theta, self.F[:stages], self.f[:stages], self.p]
        given += [self.Sigma[:stages]] if noise else []
        return None if all(np.isfinite(array).all() for array in given) else PlanStatus.NOT_FINITE

    def shift(self, ticks: int) -> None:
        """Move the plan on by `ticks` periods; its last stage repeats."""
        for array in (self.x_hat, self.u_hat, self.K, self.K_u, self.k, self.Q_uu, self.multipliers):
            by = min(ticks, len(array) - 1)
            if by > 0:
                array[:-by] = array[by:].copy()
                array[-by:] = array[-by - 1]

    def take_dynamics(self, F: Array, f: Array) -> None:
        """Copy the dynamics F (S, nx, nx+nu), f (S, nx) of S stages."""
        self.F[: len(F)], self.f[: len(F)] = F, f

    def take_parameters(self, p: Array) -> None:
        """Copy the parameters p (H+1, np)."""
        self.p[:] = p

    def arrays(self) -> dict[str, Array]:
        """Give {name: array}, the arrays themselves."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


class Tick(Protocol):
    """The numbers of a tick: `Numbers`, or the same fields of the compiled solver's structure."""

    horizon: int
    ticks: int
    iterations: int
    step_sizes: int
    stages_of_F: int
    stages_of_limits: int
    status: int
    iterations_done: int
    clamp_at_limits: int
    tolerance: float
    time_budget: float
    temperature: float
    eta: float
    limit_penalty: float
    barrier: float
    knee: float
    wall: float
    scale: float
    final_precision: float
    mu: float
    delta: float
    cost: float


@dataclasses.dataclass(slots=True)
class Numbers:
    """Settings, state and result of the search.

    ticks: control periods to shift the last plan by; stages_of_F: leading length of F and f, 1 or H; stages_of_limits:
    1, or H where the memory's limits of commands are (H, nu), those of every stage (gains.py only); clamp_at_limits:
    whether only commands at their limits are clamped (see box_qp.step_limits); temperature: of the
    maximum-entropy controller; eta: multiplier of the KL bound; barrier, knee, wall: weight of the barrier of the state
    limits, distance [half ranges] from which on it is straight, and what being beyond a limit costs; scale: the |cost|
    they follow; final_precision: the weight in the end, in units of it; mu, delta: regularization of Q_uu and the
    factor it changes by;
    status, iterations_done, cost: the result.
    """

    horizon: int
    iterations: int
    step_sizes: int
    tolerance: float
    time_budget: float
    temperature: float
    limit_penalty: float
    final_precision: float
    ticks: int = 0
    stages_of_F: int = 1
    stages_of_limits: int = 1
    status: int = 0
    iterations_done: int = 0
    clamp_at_limits: int = 0
    eta: float = 0.0
    barrier: float = 0.0
    knee: float = 1.0
    wall: float = np.inf
    scale: float = 1.0
    mu: float = 0.0
    delta: float = 1.0
    cost: float = np.inf


def out_of_time(tick: Tick, spent: float) -> bool:
    """Tell whether another iteration would end after the time budget; `spent` [s] on those that are done."""
    done = tick.iterations_done
    return 0.0 < tick.time_budget * done < spent * (done + 1) and done < tick.iterations


class Solver(Protocol):
    """One tick's search on a `Memory`: shift the last plan, search from there, take what was found.

    `plan` does all three. Between `solve` and `commit` the memory holds the last plan still.
    """

    @property
    def tick(self) -> Tick:
        """The numbers of the tick."""

    def plan(self) -> None:
        """Shift, solve and commit."""

    def shift(self) -> None:
        """Move the last plan on by `tick.ticks` periods; its last stage repeats."""

    def solve(self) -> None:
        """Search from the last plan; sets tick.status, tick.cost and tick.iterations_done."""

    def commit(self) -> None:
        """Write the plan that was found to the memory, if one was."""

    def stay(self) -> None:
        """Write the trajectory that was found to the memory, whose gains stand."""

    def keep(self) -> None:
        """Keep what was found aside."""

    def restore(self) -> None:
        """Take what was kept for what was found."""

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Measure tick.time_budget by this clock [s] instead of the monotonic one."""

    def now(self) -> float:
        """Return the time [s] by that clock."""

    def divergence(self) -> float:
        """Return sum_t E KL(controller found || last plan's) [nats]; infinite where a precision is not positive.

        See kl_constraint.py.
        """
