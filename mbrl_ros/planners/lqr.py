r"""The planner `lqr`: the linear-quadratic regulator over a finite horizon, about the last plan.

    min E sum_{t<H} (1/2 z_t^T C_t z_t + c_t^T z_t) + 1/2 y_H^T C_H y_H + c_H^T y_H,   z = [y; u]
    y' ~ N(F_t z + f_t, Sigma_t)

The value function 1/2 y^T V y + v^T y + const follows backwards from V_H = C_H, v_H = c_H:

    Q = C + F^T V' F,  q = c + F^T (V' f + v'),  K = -Q_uu^-1 Q_uy,  k = -Q_uu^-1 q_u
    V = Q_yy + Q_yu K,  v = q_y + Q_yu k,  const = const' + 1/2 f^T V' f + v'^T f + 1/2 q_u^T k + 1/2 tr(V' Sigma)

(Levine & Abbeel 2014, section 3.1; any text on optimal control). The noise changes the cost and not the policy. `solve`
is what iLQR reduces to on such a problem, and is tested against.

The planner applies it to the cost's expansion (value, gradient, Gauss-Newton Hessian) about a nominal trajectory: the
last plan's commands, shifted, rolled out from the present state. With y = [x; u_{t-1}] and deviations dy, du from it,

    u = clip(u_nominal + alpha k + K dy, u_lower, u_upper)

and the largest alpha = 2^-i that lowers the cost is taken, else the nominal trajectory stands. Limits on commands are
only clipped, so that near them the plan is worse than iLQR's, which solves for them; limits on states and a KL bound
are not heeded at all. There is one expansion per period, whatever planner.iterations is.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ..config.section import Section
from ..config.sections.planner import PlannerSettings
from ..exceptions import ShapeError
from ..types import (
    Array,
    CommandVector,
    Gain,
    LinearGaussianDynamics,
    Plan,
    PlanStatus,
    StageParameters,
    StateVector,
    checked,
)
from .base import Planner, PlannerContext, ProblemShapes, checked_start
from .ilqr.evaluator import Evaluator
from .ilqr.problem import Problem


@dataclass(frozen=True, eq=False, slots=True)
class LinearQuadraticSolution:
    """u = K_t y + k_t and the value function of every stage.

    K (H, nu, ny), k (H, nu), Q_uu (H, nu, nu); V (H+1, ny, ny), v (H+1, ny), constant (H+1,) of the value function.
    """

    K: Gain
    k: Array
    Q_uu: Array
    V: Array
    v: Array
    constant: Array

    def cost(self, x0: StateVector) -> float:
        """Return the expected cost from x0 (ny,)."""
        return float(0.5 * x0 @ self.V[0] @ x0 + self.v[0] @ x0 + self.constant[0])


def solve(
    dynamics: LinearGaussianDynamics, C: Array, c: Array, C_last: Array, c_last: Array
) -> LinearQuadraticSolution:
    """Solve the linear-quadratic problem at the top of this module.

    Parameters
    ----------
    dynamics
        Of y, leading axis 1 or H.
    C, c
        Of the stages, (H, nz, nz) and (H, nz).
    C_last, c_last
        Of the last one, (ny, ny) and (ny,).

    Raises
    ------
    ShapeError
        Shapes do not match.
    numpy.linalg.LinAlgError
        Q_uu is singular.
    """
    H, nz = c.shape
    nx = len(c_last)
    for name, array, shape in (
        ("C", C, (H, nz, nz)),
        ("C_last", C_last, (nx, nx)),
        ("F", dynamics.F, (len(dynamics.F), nx, nz)),
    ):
        if array.shape != shape:
            raise ShapeError(name, shape, array.shape)
    V, v, constant = np.empty((H + 1, nx, nx)), np.empty((H + 1, nx)), np.zeros(H + 1)
    K, k, Q_uu = np.empty((H, nz - nx, nx)), np.empty((H, nz - nx)), np.empty((H, nz - nx, nz - nx))
    V[H], v[H] = C_last, c_last
    for t in range(H - 1, -1, -1):
        F, f, Sigma = dynamics.at(t)
        Q, q = C[t] + F.T @ V[t + 1] @ F, c[t] + F.T @ (V[t + 1] @ f + v[t + 1])
        Q_uu[t] = Q[nx:, nx:]
        K[t], k[t] = -np.linalg.solve(Q_uu[t], Q[nx:, :nx]), -np.linalg.solve(Q_uu[t], q[nx:])
        V[t], v[t] = Q[:nx, :nx] + Q[:nx, nx:] @ K[t], q[:nx] + Q[:nx, nx:] @ k[t]
        V[t] = 0.5 * (V[t] + V[t].T)
        constant[t] = (
            constant[t + 1]
            + 0.5 * f @ V[t + 1] @ f
            + v[t + 1] @ f
            + 0.5 * q[nx:] @ k[t]
            + 0.5 * np.sum(V[t + 1] * Sigma)
        )
    return LinearQuadraticSolution(K, k, Q_uu, V, v, constant)


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """No settings beside those of all planners; it uses horizon, discount, line_search, temperature and execution."""


def build(settings: Settings, context: PlannerContext) -> Planner:
    """Build the planner."""
    return LqrPlanner(context)


class LqrPlanner:
    """Plans H stages with one linear-quadratic solution per period; see planners/base.py and the top of this module."""

    def __init__(self, context: PlannerContext):
        self.model = None  # a nonlinear one is given linearized
        self.settings, self.nx, self.nu, self.H = context.settings, context.nx, context.nu, context.settings.horizon
        problem = Problem(context.cost)
        problem.check()
        self._evaluate = Evaluator(problem, self.H, (1,))
        self.u_lower = np.array(checked("u_lower", context.u_lower, (self.nu,)))
        self.u_upper = np.array(checked("u_upper", context.u_upper, (self.nu,)))
        self._shapes = ProblemShapes(self.nx, self.nu, context.cost.np, self.H)
        self._uses_u_previous = context.cost.uses_u_previous
        self._X, self._U = np.zeros((self.H + 1, self.nx)), np.zeros((self.H, self.nu))
        self._K, self._K_u = np.zeros((self.H, self.nu, self.nx)), np.zeros((self.H, self.nu, self.nu))
        self._k, self._Q_uu = np.zeros((self.H, self.nu)), np.zeros((self.H, self.nu, self.nu))
        self._fresh = True

    @property
    def X(self) -> Array:
        """The last plan's states x_hat (H+1, nx)."""
        return self._X

    @property
    def U(self) -> Array:
        """The last plan's commands u_hat (H, nu)."""
        return self._U

    def reset(self, x0: StateVector, u: CommandVector) -> None:
        """Forget the last plan: begin at x0 (nx,) with the constant command u (nu,), clipped to its limits.

        Raises ConfigurationError if either is not finite.
        """
        x0, u = checked_start(x0, u, self.nx, self.nu)
        self._X[:], self._U[:] = x0, np.clip(u, self.u_lower, self.u_upper)
        for array in (self._K, self._K_u, self._k, self._Q_uu):
            array[:] = 0.0
        self._fresh = True

    def limit_commands(self, lower: CommandVector, upper: CommandVector) -> None:
        """Clip to these limits (nu,) from now on."""
        self.u_lower[:], self.u_upper[:] = lower, upper

    def limit_step(self, share: float) -> None:
        """Do nothing: the distance from the last plan is not bounded."""

    def update_settings(self, settings: PlannerSettings) -> None:
        """Do nothing: none of the settings it uses is dynamic."""

    def plan(
        self,
        x0: StateVector,
        dynamics: LinearGaussianDynamics,
        parameters: StageParameters,
        u_previous: CommandVector,
        ticks: int = 1,
    ) -> Plan:
        """Plan from x0; see `Planner`."""
        self._shapes.check(x0, dynamics, parameters, u_previous)
        self._shift(0 if self._fresh else ticks)
        self._fresh = False
        finite = all(np.isfinite(a).all() for a in (x0, u_previous, parameters, dynamics.F, dynamics.f))
        if not finite:
            return self._answer(PlanStatus.NOT_FINITE, np.nan)
        if not (self.u_lower <= self.u_upper).all():
            return self._answer(PlanStatus.INFEASIBLE_BOX, np.nan)
        with np.errstate(all="ignore"):
            return self._answer(*self._improve(x0, dynamics, parameters, u_previous))

    def _improve(
        self, x0: StateVector, dynamics: LinearGaussianDynamics, p: StageParameters, u_previous: CommandVector
    ) -> tuple[PlanStatus, float]:
        """Take the largest step that lowers the cost; (status, cost)."""
        K = np.zeros((self.H, self.nu, self.nx + self.nu))
        X, U = self._roll(x0, u_previous, dynamics, self._X, self._U, np.zeros_like(self._U), K)
        cost = self._cost(X, U, u_previous, p)
        if not np.isfinite(cost):
            return PlanStatus.DIVERGED, cost
        try:
            solution = self._solve(X, U, u_previous, dynamics, p)
            np.linalg.cholesky(solution.Q_uu)
        except np.linalg.LinAlgError:
            return PlanStatus.NOT_POSITIVE_DEFINITE, cost
        nx, K[:] = self.nx, solution.K
        self._X[:], self._U[:], self._k[:] = X, U, solution.k
        self._K[:], self._K_u[:] = K[:, :, :nx], K[:, :, nx:]
        self._Q_uu[:] = solution.Q_uu / self.settings.temperature
        for step in 0.5 ** np.arange(self.settings.line_search):
            X_new, U_new = self._roll(x0, u_previous, dynamics, X, U, step * solution.k, K)
            cost_new = self._cost(X_new, U_new, u_previous, p)
            if cost_new < cost:
                self._X[:], self._U[:] = X_new, U_new
                return PlanStatus.MAX_ITERATIONS, cost_new
        return PlanStatus.NO_IMPROVEMENT, cost

    def _solve(
        self, X: Array, U: Array, u_previous: CommandVector, dynamics: LinearGaussianDynamics, p: StageParameters
    ) -> LinearQuadraticSolution:
        """Solve the problem of the deviations dy = [dx; du_{t-1}], du from the trajectory X, U."""
        nx, nu, ny = self.nx, self.nu, self.nx + self.nu
        g, G, g_last, G_last = self._evaluate.expand(X, np.vstack((u_previous, U)), p)
        C, c, stages = np.zeros((self.H, ny + nu, ny + nu)), np.zeros((self.H, ny + nu)), len(dynamics.F)
        i = np.arange(ny + nu) if self._uses_u_previous else np.r_[:nx, ny : ny + nu]
        C[:, i[:, None], i], c[:, i] = G, g
        F, Sigma = np.zeros((stages, ny, ny + nu)), np.zeros((stages, ny, ny))
        F[:, :nx, :nx], F[:, :nx, ny:], F[:, nx:, ny:] = dynamics.F[:, :, :nx], dynamics.F[:, :, nx:], np.eye(nu)
        C_last, c_last = np.zeros((ny, ny)), np.zeros(ny)
        C_last[:nx, :nx], c_last[:nx] = G_last, g_last
        return solve(LinearGaussianDynamics(F, np.zeros((stages, ny)), Sigma), C, c, C_last, c_last)

    def _roll(
        self,
        x0: StateVector,
        u_previous: CommandVector,
        dynamics: LinearGaussianDynamics,
        X_ref: Array,
        U_ref: Array,
        k: Array,
        K: Gain,
    ) -> tuple[Array, Array]:
        """Roll u = clip(U_ref + k + K dy) out from x0: states (H+1, nx) and commands (H, nu)."""
        X, U = np.empty_like(self._X), np.empty_like(self._U)
        X[0] = x0
        v = v_ref = u_previous
        for t in range(self.H):
            u = U_ref[t] + k[t] + K[t] @ np.concatenate((X[t] - X_ref[t], v - v_ref))
            U[t] = np.clip(u, self.u_lower, self.u_upper)
            X[t + 1] = dynamics.predict(X[t], U[t], t)
            v, v_ref = U[t], U_ref[t]
        return X, U

    def _cost(self, X: Array, U: Array, u_previous: CommandVector, p: StageParameters) -> float:
        return float(self._evaluate.costs(X[:, None], np.vstack((u_previous, U))[:, None], p)[0])

    def _shift(self, ticks: int) -> None:
        """Move the last plan on; its last stage repeats."""
        for array in (self._X, self._U, self._K, self._K_u, self._k, self._Q_uu):
            by = min(ticks, len(array) - 1)
            if by > 0:
                array[:-by] = array[by:].copy()
                array[-by:] = array[-by - 1]

    def _answer(self, status: PlanStatus, cost: float) -> Plan:
        return Plan(self._X, self._U, self._K, self._K_u, self._k, self._Q_uu, cost, status, 1)
