r"""KL constraint against the previous controller, by dual descent (Levine & Abbeel, NIPS 2014, section 3.1).

    min_p E_p[sum c] - T H(p)   s.t.   sum_t E_p[ KL(p(u_t|y_t) || p_bar(u_t|y_t)) ] <= bound

with p_bar(u|y) = N(m(y), P^-1) the last plan's controller as it acts inside the limits of commands,

    m(y) = clamp(u_hat + K_bar (y - y_hat)),   whose gain is K_bar, with the rows that are clamped zero

For a multiplier eta this is the same problem with the cost c - eta log p_bar and the temperature T + eta: the objective
gains

    eta/2 sum_t e_t^T P_t e_t,     e = u - m(y)

and its controller is u_hat + K (y - y_hat) with covariance (T + eta) Q_uu^-1. A command on its bound (row of K zero)
does not vary: it is compared by its mean alone, the free commands f given the clamped ones c. With S the covariance
of y,

    KL = 1/2 ( e^T P e + tr(P_ff C_ff) - |f| - log|P_ff| - log|C_ff| + tr(P_ff G S G^T) ),
    C_ff = (T + eta) (Q_uu,ff)^-1,     G = P_ff^-1 (P (K - K_bar))_f

which is the divergence of the Gaussians where nothing is clamped. It tends to 0 as eta grows, also where limits bind,
so that eta is found by bracketing on a logarithmic scale, within 10 % of the bound; eta = 0 where the bound does not
bind. The specification of kl_constraint.h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...types import Array, PlanStatus
from .memory import Memory, Solver, Tick

SMALLEST_ETA, LARGEST_ETA = 1e-8, 1e16
CLOSE = 0.1
HOPELESS = PlanStatus.NOT_FINITE, PlanStatus.INFEASIBLE_BOX, PlanStatus.DIVERGED  # whatever the multiplier


@dataclass(frozen=True, eq=False, slots=True)
class Controller:
    """p(u_t|y_t) = N(clamp(U_t + K_t (y_t - y_hat_t)), P_t^-1), y = [x; v], or y = x if no cost depends on v = u_{t-1}.

    X (H+1, nx); U (H+1, nu), which begins with u_{-1}; K (H, nu, ny); P (H, nu, nu) the precision; lower, upper (nu,)
    the limits it is clamped to.
    """

    X: Array
    U: Array
    K: Array
    P: Array
    lower: Array
    upper: Array

    @classmethod
    def of_last_plan(cls, m: Memory, ny: int) -> Controller:
        """Make the last plan's controller, over y (ny,)."""
        K = np.concatenate([m.K, m.K_u], axis=2) if ny > m.K.shape[2] else m.K
        return cls(m.x_hat, m.u_hat, K, m.Q_uu, m.u_lower, m.u_upper)

    def law(self, X: Array, U: Array, t: int) -> tuple[Array, Array]:
        """Return by how much U (H+1, nu) deviates from this law at stage t of X (H+1, nx), (nu,), and its gain."""
        dy = np.concatenate([X[t] - self.X[t], U[t] - self.U[t]])[: self.K.shape[2]]
        m = self.U[t + 1] + self.K[t] @ dy
        inside = (m >= self.lower) & (m <= self.upper)
        return U[t + 1] - np.clip(m, self.lower, self.upper), np.where(inside[:, None], self.K[t], 0.0)


class Search:
    """The multipliers tried in one tick, the time they took, and whether a plan that keeps the bound is among them."""

    def __init__(self, solver: Solver, bound: float, budget: float):
        self.solver, self.bound, self.budget, self.tick = solver, bound, budget, solver.tick
        self.begin, self.iterations, self.cost, self.found = solver.now(), 0, math.inf, False
        self._numbers = 0.0, 0, 0

    @property
    def kept(self) -> bool:
        """Whether a plan that keeps the bound was found."""
        return self.cost < math.inf

    def divergence(self, eta: float) -> float:
        """Plan with this multiplier; return the divergence [nats], infinite without a plan."""
        tick, solver = self.tick, self.solver
        tick.eta = eta
        tick.time_budget = max(self.budget - (solver.now() - self.begin), 1e-12) if self.budget else 0.0
        solver.solve()
        tick.time_budget = self.budget
        self.iterations += max(tick.iterations_done, 1)
        found = _found(tick)
        self.found |= found
        reached = solver.divergence() if found else math.inf
        if reached <= self.bound and tick.cost < self.cost:
            self.cost, self._numbers = tick.cost, (eta, tick.status, tick.iterations_done)
            solver.keep()
        return reached

    def restore(self) -> None:
        """Take the cheapest plan that keeps the bound."""
        self.solver.restore()
        self.tick.eta, self.tick.status, self.tick.iterations_done = self._numbers
        self.tick.cost = self.cost

    def in_time(self) -> bool:
        """Whether one more iteration, as long as those before, ends within the time budget."""
        if not self.budget:
            return True
        return (self.solver.now() - self.begin) * (self.iterations + 1) <= self.budget * self.iterations


def solve(solver: Solver, bound: float, start: float, steps: int) -> float:
    """Plan with the multipliers dual descent asks for, and take the cheapest plan found that keeps the bound.

    tick.time_budget is one for all of them: it is overrun by one iteration at most. Where no plan keeps the bound, the
    last one does: it stands, replayed from the state, and tick.status is KL_BOUND.

    Parameters
    ----------
    solver
        Shifted; its tick.eta is set.
    bound
        Of the divergence [nats].
    start
        The multiplier to begin with, that of the last plan; 0: the bound did not bind.
    steps
        Of dual descent, at most, after the first multiplier.

    Returns
    -------
    float
        The multiplier to begin with next time.
    """
    tick = solver.tick
    search = Search(solver, bound, tick.time_budget)
    low, high, eta = SMALLEST_ETA, LARGEST_ETA, start
    for step in range(steps + 1):
        if step and not search.in_time():
            break
        reached = search.divergence(eta)
        if tick.status in HOPELESS:
            break
        if reached <= bound:
            if eta == 0.0 or reached >= (1.0 - CLOSE) * bound:
                break
            high = eta
            eta = max(math.sqrt(low * high), 0.1 * high) if step else 0.0  # it may bind no longer
        elif eta == 0.0 and high == LARGEST_ETA:
            eta = 1.0
        else:
            low = max(eta, low)
            eta = min(math.sqrt(low * high), 10.0 * low) if eta else max(math.sqrt(low * high), 0.1 * high)
    if search.kept:
        search.restore()
        return tick.eta
    if tick.status in HOPELESS:
        return start
    if search.found:
        _stay(solver)
    return eta


def _stay(solver: Solver) -> None:
    """Take the last plan, replayed from the state with the gains it has."""
    tick = solver.tick
    iterations, tick.iterations, tick.eta = tick.iterations, 0, LARGEST_ETA
    solver.solve()
    tick.iterations = iterations
    if _found(tick):
        solver.stay()
        tick.status = PlanStatus.KL_BOUND


def _found(tick: Tick) -> bool:
    return tick.status <= PlanStatus.TIME_BUDGET or tick.status == PlanStatus.NO_IMPROVEMENT


def kl_terms(Xs: Array, Us: Array, last: Controller, eta: float) -> Array:
    """Evaluate eta/2 sum_t e^T P e (S,) of S rollouts Xs (H+1, S, nx), Us (H+1, S, nu)."""
    ny = last.K.shape[2]
    y = np.concatenate([Xs, Us], axis=2)[:-1, :, :ny]
    y_hat = np.concatenate([last.X, last.U], axis=1)[:-1, :ny]
    m = last.U[1:, None] + np.einsum("tji,tsi->tsj", last.K, y - y_hat[:, None])
    e = Us[1:] - np.clip(m, last.lower, last.upper)
    terms: Array = 0.5 * eta * np.einsum("tsi,tij,tsj->s", e, last.P, e)
    return terms


def add_kl_term(Q: Array, q: Array, t: int, X: Array, U: Array, last: Controller, eta: float) -> None:
    """Add the second and first derivatives of eta/2 e^T P e over [y; u] to Q and q at stage t of X, U."""
    e, K = last.law(X, U, t)
    M = np.concatenate([-K, np.eye(U.shape[1])], axis=1)
    Q += eta * M.T @ last.P[t] @ M
    q += eta * M.T @ (last.P[t] @ e)


def divergence(new: Controller, last: Controller, F_y: Array, Sigma: Array) -> float:
    """Return sum_t E_y KL(new(u|y) || last(u|y)) [nats], y distributed as `new` and the dynamics' noise make it.

    F_y (H, ny, ny+nu) is the dynamics of y, Sigma (1 or H, nx, nx) the noise of x. Infinite where a precision is not
    positive definite.
    """
    H, _, ny = new.K.shape
    nx = Sigma.shape[1]
    S, total = np.zeros((ny, ny)), 0.0
    for t in range(H):
        P, K, F = last.P[t], new.K[t], F_y[t]
        e, K_bar = last.law(new.X, new.U, t)
        free = np.flatnonzero(K.any(axis=1))
        P_ff, P_new = P[np.ix_(free, free)], new.P[t][np.ix_(free, free)]
        if min(np.linalg.eigvalsh(P)[0], np.linalg.eigvalsh(new.P[t])[0]) <= 0.0:
            return math.inf
        C, R = np.linalg.inv(P_new), (P @ (K - K_bar))[free]
        log_p, log_q = np.linalg.slogdet(P_ff)[1], np.linalg.slogdet(P_new)[1]
        gains = np.sum(R * (np.linalg.solve(P_ff, R) @ S))
        total += 0.5 * (e @ P @ e + np.sum(P_ff * C) - len(free) + log_q - log_p + gains)
        A, B = F[:, :ny], F[:, ny:]
        noise = B[:, free] @ C @ B[:, free].T
        noise[:nx, :nx] += Sigma[t if len(Sigma) > 1 else 0]
        S = (A + B @ K) @ S @ (A + B @ K).T + noise
    return float(total)
