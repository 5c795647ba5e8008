r"""KL constraint against the previous controller, by dual descent (Levine & Abbeel, NIPS 2014, section 3.1).

    min_p E_p[sum c] - T H(p)   s.t.   sum_t E_p[ KL(p(u_t|y_t) || p_bar(u_t|y_t)) ] <= bound

with p_bar(u|y) = N(u_hat + K_bar (y - y_hat), P^-1), the last plan's controller. For a multiplier eta this is the same
problem with the cost c - eta log p_bar and the temperature T + eta: the objective gains

    eta/2 sum_t e_t^T P_t e_t,     e = u - u_hat - K_bar (y - y_hat)

and its controller is u_hat + K (y - y_hat) with covariance (T + eta) Q_uu^-1. The divergence falls as eta grows, so eta
is found by bracketing on a logarithmic scale, within 10 % of the bound; eta = 0 where the bound does not bind. The
specification of kl_constraint.h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...types import Array, PlanStatus
from .memory import Solver, Tick

SMALLEST_ETA, LARGEST_ETA = 1e-8, 1e16
CLOSE = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class Controller:
    """p(u_t|y_t) = N(U_t + K_t (y_t - y_hat_t), P_t^-1) with y = [x; v], or y = x if no cost depends on v = u_{t-1}.

    X (H+1, nx); U (H+1, nu), which begins with u_{-1}; K (H, nu, ny); P (H, nu, nu) the precision.
    """

    X: Array
    U: Array
    K: Array
    P: Array

    def deviations(self, X: Array, U: Array, t: int) -> Array:
        """Return e (nu,) at stage t of the trajectory X (H+1, nx), U (H+1, nu)."""
        dy = np.concatenate([X[t] - self.X[t], U[t] - self.U[t]])[: self.K.shape[2]]
        e: Array = U[t + 1] - self.U[t + 1] - self.K[t] @ dy
        return e


def solve(solver: Solver, bound: float, start: float, steps: int) -> float:
    """Call `solver.solve()` with the multipliers dual descent asks for; return the eta it ended with.

    When `steps` run out, the last eta tried that kept the bound is solved for again, so that the bound holds whenever
    some eta kept it.

    Parameters
    ----------
    solver
        Its tick.eta is set.
    bound
        Of the divergence [nats].
    start
        The multiplier to begin with; 0: none is known.
    steps
        Of dual descent, at most.
    """
    tick = solver.tick
    tick.eta = 0.0
    solver.solve()
    if not _found(tick) or solver.divergence() <= bound:
        return 0.0
    low, high, eta = SMALLEST_ETA, LARGEST_ETA, start if start > 0.0 else 1.0
    kept: float | None = None
    for _ in range(steps):
        tick.eta = eta
        solver.solve()
        reached = solver.divergence() if _found(tick) else math.inf
        if reached <= bound:
            kept = high = eta
            if reached >= (1.0 - CLOSE) * bound:
                return eta
            eta = max(math.sqrt(low * high), 0.1 * high)
        else:
            low = eta
            eta = min(math.sqrt(low * high), 10.0 * low)
    if kept is not None and tick.eta != kept:
        tick.eta = kept
        solver.solve()
    return tick.eta


def _found(tick: Tick) -> bool:
    return tick.status <= PlanStatus.TIME_BUDGET or tick.status == PlanStatus.NO_IMPROVEMENT


def kl_terms(Xs: Array, Us: Array, last: Controller, eta: float) -> Array:
    """Evaluate eta/2 sum_t e^T P e (S,) of S rollouts Xs (H+1, S, nx), Us (H+1, S, nu)."""
    ny = last.K.shape[2]
    y = np.concatenate([Xs, Us], axis=2)[:-1, :, :ny]
    y_hat = np.concatenate([last.X, last.U], axis=1)[:-1, :ny]
    e = Us[1:] - last.U[1:, None] - np.einsum("tji,tsi->tsj", last.K, y - y_hat[:, None])
    terms: Array = 0.5 * eta * np.einsum("tsi,tij,tsj->s", e, last.P, e)
    return terms


def add_kl_term(Q: Array, q: Array, t: int, X: Array, U: Array, last: Controller, eta: float) -> None:
    """Add the second and first derivatives of eta/2 e^T P e over [y; u] to Q and q at stage t of X, U."""
    M = np.concatenate([-last.K[t], np.eye(U.shape[1])], axis=1)
    e = last.deviations(X, U, t)
    Q += eta * M.T @ last.P[t] @ M
    q += eta * M.T @ (last.P[t] @ e)


def divergence(new: Controller, last: Controller, F_y: Array, Sigma: Array) -> float:
    """Return sum_t E_y KL(new(u|y) || last(u|y)) [nats], y distributed as `new` and the dynamics' noise make it.

    F_y (H, ny, ny+nu) is the dynamics of y, Sigma (1 or H, nx, nx) the noise of x. Infinite where a precision is not
    positive definite.
    """
    H, nu, ny = new.K.shape
    nx = Sigma.shape[1]
    S, total = np.zeros((ny, ny)), 0.0
    for t in range(H):
        P, P_new, K, F = last.P[t], new.P[t], new.K[t], F_y[t]
        log_p, log_q = np.linalg.slogdet(P)[1], np.linalg.slogdet(P_new)[1]
        if min(np.linalg.eigvalsh(P)[0], np.linalg.eigvalsh(P_new)[0]) <= 0.0:
            return math.inf
        C, D = np.linalg.inv(P_new), K - last.K[t]
        e = last.deviations(new.X, new.U, t)
        total += 0.5 * (np.sum(P * (C + np.outer(e, e) + D @ S @ D.T)) - nu + log_q - log_p)
        A, B = F[:, :ny], F[:, ny:]
        noise = np.zeros((ny, ny))
        noise[:nx, :nx] = Sigma[t if len(Sigma) > 1 else 0]
        S = (A + B @ K) @ S @ (A + B @ K).T + B @ C @ B.T + noise
    return float(total)
