"""The regularization mu of Q_uu, and the factor delta it changes by (Tassa, Erez & Todorov 2012, section II-F)."""

from __future__ import annotations

from .box_qp import Clamping
from .memory import Tick

MU_MIN, MU_MAX, DELTA0 = 1e-6, 1e10, 2.0


def reset(tick: Tick) -> None:
    """Begin without regularization."""
    tick.mu, tick.delta = 0.0, 1.0


def increase(tick: Tick) -> None:
    """Regularize more; beyond MU_MAX the search ends and `reset` is due."""
    tick.delta = max(DELTA0, tick.delta * DELTA0)
    tick.mu = max(MU_MIN, tick.mu * tick.delta)


def decrease(tick: Tick) -> None:
    """Regularize less, and not at all below MU_MIN."""
    tick.delta = min(1.0 / DELTA0, tick.delta / DELTA0)
    mu = tick.mu * tick.delta
    tick.mu = mu if mu >= MU_MIN else 0.0


def adapt(tick: Tick, moved: bool, clamping: Clamping) -> Clamping:
    """Regularize less after a step that was taken, more without one; return how to clamp then.

    Where commands were clamped at their limits only, and no step was found, the next one is by the limits of the step,
    whose decrease is that of a quadratic programme.
    """
    if not moved and clamping is Clamping.LIMIT:
        return Clamping.STEP
    decrease(tick) if moved else increase(tick)
    return Clamping(tick.clamp_at_limits) if moved else clamping
