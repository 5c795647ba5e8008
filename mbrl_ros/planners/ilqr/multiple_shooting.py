r"""Multiple shooting: the states of a plan are variables beside its commands, and its gaps are closed on the way.

    g_t = phi(x_t, u_t) + F_t [x_t; u_t] + f_t - x_{t+1}

A trajectory that is rolled out from its commands amplifies every error by the dynamics, to the end of the horizon. Here
the search begins at the states of the last plan as they are, with gaps; stage by stage,

    backward  the gap moves the expansion of the value function before it is carried over the stage: s <- s + V g_t, and
              adds s^T g_t to the predicted slope, g_t^T V g_t / 2 to the curve
    roll      x_{t+1} = phi(x_t, u_t) + F_t [x_t; u_t] + f_t - (1 - alpha) g_t,   u_t as ever, with K (x_t - x_ref)

so that a step of size alpha leaves 1 - alpha of every gap, exactly and also with a nonlinear model, and the feedback
holds the rollout near the trajectory it was found for. The merit is J + weight sum_t |g_t|_1; with T the change of J
that is predicted for the whole step, of which a is of first order, weight sum_t |g_t|_1 >= max(2 T, a + 2 (T - a)): by
the former every step leads downhill to first order, and by the latter the merit of a linear-quadratic problem is lowest
at alpha = 1. Second derivatives of the model are used once the gaps are closed.

While there are gaps, the backward pass leaves the limits of commands to the rollout (as box-FDDP does): along states
that no command leads to, far too many commands would be taken for clamped, and the value function be that of the
unstable dynamics without a controller.

Where no step lowers the merit, and in the end, what is left of the gaps is closed by a rollout with feedback, so that
a plan is always one that the model can follow. It is taken where it is cheaper than the last one, replayed.

Sources: Mastalli et al., ICRA 2020 (feasibility-driven DDP: gaps in the recursion and in the rollout); Giftthaler et
al., IROS 2018; limits: Mastalli et al., Autonomous Robots 2022; weight of the merit: Nocedal & Wright 2006, equation
18.36. The specification of multiple_shooting.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...types import Array, PlanStatus
from . import regularization
from .box_qp import Clamping, NotPositiveDefinite
from .evaluator import next_states
from .kl_constraint import Controller
from .memory import out_of_time

if TYPE_CHECKING:
    from .numpy_ilqr import NumpyIlqr

DESCENT = 0.5  # of the decrease of the gaps' merit that is left after the predicted change of the cost
CLOSED = 1e-13  # gaps up to this, relative to 1 + |x|, are rounding

Replay: TypeAlias = tuple[Array, Array, float]  # states, commands and cost of the last plan, replayed


def iterate(solver: NumpyIlqr) -> PlanStatus:
    """Search from the last plan's states and commands; leaves X, U and gains in the solver."""
    begin, last = solver.now(), replayed(solver)
    if not open_gaps(solver, last):
        return PlanStatus.DIVERGED
    try:
        status = _search(solver, begin)
    except NotPositiveDefinite:
        return PlanStatus.NOT_POSITIVE_DEFINITE
    if status is PlanStatus.NOT_FINITE:
        return status
    return _chosen(solver, status, last)


def replayed(solver: NumpyIlqr) -> Replay | None:
    """Return the last plan replayed from the state, with or without its feedback, the cheaper one; None: neither is."""
    m, tick = solver.memory, solver.tick
    solver.merit, solver.gaps, solver.gap_cost, tick.wall = np.inf, None, 0.0, 0.0
    K = Controller.of_last_plan(m, solver.ny).K
    if not solver.roll(m.x_hat, m.u_hat, K, m.k, np.zeros((2, 1)), np.arange(2.0)[:, None]):
        return None
    return solver.X_best, solver.U_best, tick.cost


def open_gaps(solver: NumpyIlqr, last: Replay | None) -> bool:
    """Begin at the last plan's states and clamped commands, else where it was replayed; False: nothing is finite."""
    m, tick = solver.memory, solver.tick
    X, U = m.x_hat.copy(), np.vstack([m.u_previous, np.clip(m.u_hat[1:], m.u_lower, m.u_upper)])
    X[0] = m.x0
    stages = [t if tick.stages_of_F > 1 else 0 for t in range(solver.horizon)]
    ends = [next_states(m, i, solver.model, X[[t, t]], U[[t + 1, t + 1]])[0] for t, i in enumerate(stages)]
    gaps = np.array(ends) - X[1:]
    tick.cost = float(solver.evaluate.costs(np.stack([X, X], axis=1), np.stack([U, U], axis=1), m.p)[0])
    if np.isfinite(tick.cost) and np.isfinite(gaps).all():
        solver.gaps = gaps if (np.abs(gaps) > CLOSED * (1.0 + np.abs(X[1:]))).any() else None
    elif last is not None:
        X, U, tick.cost = last
    else:
        return False
    solver.X_best, solver.U_best = X, U
    return True


def _search(solver: NumpyIlqr, begin: float) -> PlanStatus:
    """Iterate; MAX_ITERATIONS also where no step size lowers the merit."""
    tick, weight, moved, unregularized = solver.tick, 0.0, True, False
    while tick.iterations_done < tick.iterations:
        if moved:
            solver.X, solver.U = solver.X_best, solver.U_best
            solver.expand()
        if solver.gaps is not None:
            solver.clamping = Clamping.NONE
        elif solver.clamping is Clamping.NONE:
            solver.clamping = Clamping(tick.clamp_at_limits)
        size = 0.0 if solver.gaps is None else float(np.abs(solver.gaps).sum())
        solver.merit = tick.cost + weight * size
        for _ in range(2):  # regularization makes any step small: the step without it decides
            change = sum(solver.step_down())
            if not np.isfinite(change):
                return PlanStatus.NOT_FINITE
            if size > 0.0:
                curve = max(change - first_order(solver), 0.0)
                weight = max(weight, change / ((1.0 - DESCENT) * size), (change + curve) / size)
            solver.gap_cost = weight * size
            solver.merit = tick.cost + solver.gap_cost
            settled = solver.gap_cost - change <= tick.tolerance * (1.0 + abs(solver.merit))
            if not settled or tick.mu == 0.0:
                break
            regularization.reset(tick)
            if unregularized:
                return PlanStatus.MAX_ITERATIONS
            unregularized = True
        tick.iterations_done += 1
        if settled and solver.gaps is None:
            return PlanStatus.CONVERGED
        alphas, held = solver.alphas, solver.gaps
        moved = not settled and solver.roll(
            solver.X, solver.U, solver.new_K, solver.new_k, alphas, np.ones_like(alphas)
        )
        if moved and held is not None:
            solver.gaps = (1.0 - solver.step_size) * held if solver.step_size < 1.0 else None
        moved = moved or (held is not None and close_gaps(solver))
        solver.clamping = regularization.adapt(tick, moved, solver.clamping)
        unregularized = unregularized and not moved
        if tick.mu > regularization.MU_MAX:
            regularization.reset(tick)
            break
        if out_of_time(tick, solver.now() - begin):
            solver.X, solver.U = solver.X_best, solver.U_best
            return PlanStatus.TIME_BUDGET
    solver.X, solver.U = solver.X_best, solver.U_best
    return PlanStatus.MAX_ITERATIONS


def close_gaps(solver: NumpyIlqr) -> bool:
    """Close the gaps by a rollout with feedback alone, whatever that costs; False: it is not finite."""
    before = solver.merit, solver.gaps
    solver.merit, solver.gaps, solver.gap_cost = np.inf, None, 0.0
    if solver.roll(solver.X, solver.U, solver.new_K, solver.new_k, np.zeros((2, 1)), np.ones((2, 1))):
        return True
    solver.merit, solver.gaps = before
    return False


def first_order(solver: NumpyIlqr) -> float:
    """Return the change a of the cost for the whole step, its gaps closed, to first order."""
    nx, dy, a = solver.nx, np.zeros(solver.ny), 0.0
    gaps = np.zeros((solver.horizon, nx)) if solver.gaps is None else solver.gaps
    for t in range(solver.horizon):
        dz = np.concatenate([dy, solver.new_k[t] + solver.new_K[t] @ dy])
        a += float(solver.g[t] @ dz)
        dy = solver.F_y[t] @ dz
        dy[:nx] += gaps[t]
    return a + float(solver.g_last @ dy[:nx])


def _chosen(solver: NumpyIlqr, status: PlanStatus, last: Replay | None) -> PlanStatus:
    """Close what is left of the gaps, and take the last plan, replayed, with gains about it, where it is cheaper."""
    tick, closed = solver.tick, solver.gaps is None or close_gaps(solver)
    solver.X, solver.U, solver.gaps, solver.gap_cost = solver.X_best, solver.U_best, None, 0.0
    if closed and last is None:
        return status
    if last is None:
        return PlanStatus.DIVERGED
    allowed = tick.tolerance * (1.0 + abs(last[2])) if status is PlanStatus.CONVERGED else 0.0
    if closed and (tick.cost < last[2] or tick.cost <= last[2] + allowed):
        return status
    solver.X, solver.U, tick.cost = last
    solver.merit, solver.clamping = tick.cost, Clamping(tick.clamp_at_limits)
    solver.expand()
    try:
        change = sum(solver.step_down())
    except NotPositiveDefinite:
        return PlanStatus.NOT_POSITIVE_DEFINITE
    return PlanStatus.NO_IMPROVEMENT if np.isfinite(change) else PlanStatus.NOT_FINITE
