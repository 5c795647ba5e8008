r"""KL trust region against the previous controller, by dual descent (Levine & Abbeel, NIPS 2014, section 3.1).

    min_p E_p[sum c] - T H(p)   s.t.   sum_t E_p[ KL(p(u_t|y_t) || p_bar(u_t|y_t)) ] <= bound

For a multiplier eta this is the same problem with the cost c - eta log p_bar and the temperature T + eta: its controller is
u_hat + K (y - y_hat) with covariance (T + eta) Q_uu^-1. The divergence falls as eta grows, so eta is found by
bracketing on a logarithmic scale, within 10 % of the bound; eta = 0 where the bound does not bind.
"""

from __future__ import annotations

import math

from ...types import PlanStatus

SMALLEST, LARGEST = 1e-8, 1e16
CLOSE = 0.1


def solve(backend, bound: float, start: float, steps: int) -> float:
    """Call `backend.solve()` with the multipliers dual descent asks for; returns the eta (in backend.tick.eta) it ended with.

    When `steps` run out, the last eta tried that kept the bound is solved for again, so that the bound holds whenever
    some eta kept it.
    """
    tick = backend.tick
    tick.eta = 0.0
    backend.solve()
    if not _found(tick) or backend.divergence() <= bound:
        return 0.0
    low, high, eta = SMALLEST, LARGEST, start if start > 0.0 else 1.0
    kept = None
    for _ in range(steps):
        tick.eta = eta
        backend.solve()
        divergence = backend.divergence() if _found(tick) else math.inf
        if divergence <= bound:
            kept = high = eta
            if divergence >= (1.0 - CLOSE) * bound:
                return eta
            eta = max(math.sqrt(low * high), 0.1 * high)
        else:
            low = eta
            eta = min(math.sqrt(low * high), 10.0 * low)
    if kept is not None and tick.eta != kept:
        tick.eta = kept
        backend.solve()
    return tick.eta


def _found(tick) -> bool:
    return tick.status <= PlanStatus.TIME_BUDGET or tick.status == PlanStatus.NO_IMPROVEMENT
