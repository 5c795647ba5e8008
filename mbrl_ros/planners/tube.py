r"""The tube of a plan: where states and commands will be, by moment matching, and what the plan costs on average.

    x_{t+1} ~ N(F_t [x_t; u_t] + f_t, Sigma_t)
    u_t = u_hat_t + K_t (x_t - x_hat_t) + K_u,t (u_{t-1} - u_hat_{t-1}) + e_t
    open_loop: K = K_u = 0, e = 0      feedback: e = 0      gaussian: e_t ~ N(0, Q_uu,t^-1)      (execution.py)

All of it is Gaussian, so that with y = [x; u_{t-1}] mean and covariance S of z = [y; u] follow stage by stage:

    cov z_t = [I; L_t] S_t [I; L_t]^T + diag(0, cov e_t),   L_t = [K_t, K_u,t]
    S_{t+1} = A_t (cov z_t) A_t^T + diag(Sigma_t, 0),       A_t = [F_t,x, 0, F_t,u; 0, 0, I]

and the expected cost is that of the means and the trace with the second derivatives C_t of the cost,

    E J = J(means) + 1/2 sum_t tr(C_t cov z_t)

exactly where the cost is quadratic and no limit binds, to second order else. The best feedback reaches the value of the
linear-quadratic-Gaussian problem (lqr.py); open loop costs more, by the spread that no command takes back; the Gaussian
costs nu/2 a stage more, times the temperature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..costs import CostModel
from ..exceptions import ConfigurationError
from ..types import Array, CommandVector, LinearGaussianDynamics, Plan, StageParameters, StateVector
from .execution import MODES
from .ilqr.evaluator import Evaluator
from .ilqr.problem import Problem


@dataclass(frozen=True, eq=False, slots=True)
class Tube:
    """Means X (H+1, nx), U (H, nu) and covariances: x (H+1, nx, nx), z (H, nx+2nu, nx+2nu) of [x; u_{t-1}; u]."""

    X: Array
    U: Array
    x: Array
    z: Array


def tube(
    plan: Plan,
    dynamics: LinearGaussianDynamics,
    mode: str,
    x0: StateVector,
    u_previous: CommandVector,
    S0: Array | None = None,
) -> Tube:
    """Return the tube of `plan`, executed by `mode` from x0 (nx,).

    Parameters
    ----------
    mode : one of execution.MODES
    u_previous : the command (nu,) before, for which the plan was made
    S0 : covariance (nx, nx) of x0; None: it is known

    Raises
    ------
    ConfigurationError : there is no such mode
    """
    if mode not in MODES:
        raise ConfigurationError(f"no execution mode '{mode}'; there are {list(MODES)}", key="execution", value=mode)
    (H, nu), nx = plan.u_hat.shape, len(x0)
    ny = nx + nu
    L = np.zeros((H, nu, ny)) if mode == "open_loop" else np.concatenate([plan.K, plan.K_u], axis=2)
    joint = np.concatenate([np.broadcast_to(np.eye(ny), (H, ny, ny)), L], axis=1)
    own = np.zeros((H, ny + nu, ny + nu))  # cov [0; e]
    if mode == "gaussian":
        own[:, ny:, ny:] = np.linalg.inv(plan.Q_uu)
    A = np.zeros((H, ny, ny + nu))
    A[:, :nx, :nx], A[:, :nx, ny:], A[:, nx:, ny:] = dynamics.F[:, :, :nx], dynamics.F[:, :, nx:], np.eye(nu)
    closed, noise = A @ joint, A @ own @ A.transpose(0, 2, 1)
    noise[:, :nx, :nx] += dynamics.Sigma
    X, U, S = np.empty((H + 1, nx)), np.empty((H, nu)), np.zeros((H + 1, ny, ny))
    X[0], v, v_hat = x0, u_previous, u_previous
    if S0 is not None:
        S[0, :nx, :nx] = S0
    for t in range(H):
        U[t] = plan.u_hat[t] + L[t] @ np.concatenate([X[t] - plan.x_hat[t], v - v_hat])
        X[t + 1], S[t + 1] = dynamics.predict(X[t], U[t], t), closed[t] @ S[t] @ closed[t].T + noise[t]
        v, v_hat = U[t], plan.u_hat[t]
    covariance, spread = joint @ S[:-1] @ joint.transpose(0, 2, 1) + own, S[:, :nx, :nx].copy()
    return Tube(X, U, spread, covariance)


def expected_cost(cost: CostModel, found: Tube, p: StageParameters, u_previous: CommandVector) -> float:
    """Return the expected cost of a tube under the parameters p (H+1, np); see the top of this module."""
    H, nx, nu = len(found.U), found.X.shape[1], found.U.shape[1]
    evaluate, U = Evaluator(Problem(cost), H, (1,)), np.vstack([u_previous, found.U])
    _, C, _, C_last = evaluate.expand(found.X, U, p)
    i = np.arange(nx + 2 * nu) if cost.uses_u_previous else np.r_[:nx, nx + nu : nx + 2 * nu]
    spread = np.sum(C * found.z[:, i[:, None], i]) + np.sum(C_last * found.x[H])
    return float(evaluate.costs(found.X[:, None], U[:, None], p)[0] + 0.5 * spread)


def half_axes(covariance: Array, deviations: float = 2.0) -> Array:
    """Return the half axes (T, k, k), in columns, of the ellipsoids of covariances (T, k, k): right-handed rotations.

    They are `deviations` standard deviations long; a covariance that is not finite gives NaN.
    """
    S = 0.5 * (covariance + covariance.transpose(0, 2, 1))
    finite = np.isfinite(S).all(axis=(1, 2))
    axes: Array = np.full(S.shape, np.nan)
    variances, V = np.linalg.eigh(S[finite])
    V[:, :, 0] *= np.sign(np.linalg.det(V))[:, None]
    axes[finite] = V * (deviations * np.sqrt(np.maximum(variances, 0.0)))[:, None]
    return axes
