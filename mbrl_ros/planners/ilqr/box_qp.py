r"""Quadratic programmes with bounds, by projected Newton (Tassa, Mansard & Todorov, ICRA 2014, algorithm 1).

    min 1/2 k^T Q k + q^T k,    lower <= k <= upper

Q need only be positive definite over the commands that are at none of their bounds in the end: with the second
derivatives of a model (DDP) the whole of it often is not, while its bounds hold the others. k is then a local minimum.

The specification of box_qp.h.
"""

from __future__ import annotations

import enum

import numpy as np

from ...types import Array

UNLIMITED = 1e30  # the limit of a command that is not limited
ROUNDING_OF_LIMIT = 16.0 * float(np.finfo(float).eps)  # of its limit: a command that is nearer has met it


class Clamping(enum.Enum):
    """Which commands are clamped in a backward pass; see `step_limits`."""

    STEP = 0
    LIMIT = 1
    NONE = 2


class NotPositiveDefinite(Exception):
    """Q is not positive definite over the free commands."""


def box_step(Q: Array, q: Array, lower: Array, upper: Array, Q_uy: Array, convex: bool = False) -> tuple[Array, Array]:
    """Solve for the step k (nu,) and its gain K (nu, ny).

    k minimises 1/2 k^T Q k + q^T k within its bounds; K = -Q^-1 Q_uy on the commands at none of them, 0 on the others.
    The search begins at the bounds that each command would meet if it were alone, or at 0 where Q is not positive
    definite: it only goes downhill, so that k is never worse than no step. Raises NotPositiveDefinite where Q is not
    over the free commands, or with `convex` as a whole.
    """
    k, clamped = np.clip(0.0, lower, upper), np.zeros(len(q), dtype=bool)
    factorized, inverse = True, np.zeros_like(Q)
    try:
        inverse = _inverse_factor(Q)
        D = np.diag(Q)
        k = np.where(-q > upper * D, upper, np.where(-q < lower * D, lower, k))
    except NotPositiveDefinite:
        if convex:
            raise
        factorized = False
    on_face = False
    for _ in range(20 * len(q) + 20):
        g = q + Q @ k
        now = ((k <= lower) & (g > 0.0)) | ((k >= upper) & (g < 0.0))
        changed = (now != clamped).any()
        clamped = now
        if on_face and not changed:
            break
        if changed or not factorized:
            factorized = True
            inverse = _inverse_factor(np.where(now | now[:, None], np.eye(len(q)), Q))
        free = np.where(clamped, 0.0, g)
        step = inverse.T @ (inverse @ free)
        trial = np.minimum(np.maximum(k - step, lower), upper)
        on_face = bool((trial == k - step).all())
        if not on_face:
            found = _search(Q, q, lower, upper, k, free, step)
            if found is None:
                break
            trial = found
        k = trial
    rows = np.where(clamped[:, None], 0.0, Q_uy) if clamped.any() else Q_uy
    return k, -inverse.T @ (inverse @ rows)


def step_to(limit: Array, U: Array) -> Array:
    """Return the step (H, nu) from commands U (H, nu) to a limit, 0 where only rounding is left of it.

    U + (limit - U) can miss the limit by rounding. Pressed against a limit that it has not met, such a command would
    block the search of `box_step`.
    """
    left = limit - U
    return np.where(np.abs(left) < ROUNDING_OF_LIMIT * np.abs(limit), 0.0, left)


def step_limits(U: Array, lower: Array, upper: Array, clamping: Clamping) -> tuple[Array, Array]:
    """Return the limits (H, nu) of the step k from commands U (H, nu).

    STEP: those of U + k. LIMIT: only commands at a limit are kept from leaving it. A step k that is cut off at a limit
    says little of the stage: the feedback of a rollout brings the command elsewhere. To clamp every such command
    instead, at stages whose state is far from where the plan will be, makes the value function that of dynamics without
    their controller. The rollout keeps all limits. NONE: there are none.
    """
    low, high = step_to(lower, U), step_to(upper, U)
    if clamping is Clamping.STEP:
        return low, high
    least = np.where((low >= 0.0) & (clamping is Clamping.LIMIT), low, -UNLIMITED)
    return least, np.where((high <= 0.0) & (clamping is Clamping.LIMIT), high, UNLIMITED)


def _inverse_factor(Q: Array) -> Array:
    """Return L^-1 with Q = L L^T."""
    try:
        return np.linalg.inv(np.linalg.cholesky(Q))
    except np.linalg.LinAlgError:
        raise NotPositiveDefinite from None


def _search(Q: Array, q: Array, lower: Array, upper: Array, k: Array, g: Array, step: Array) -> Array | None:
    """Search by Armijo's rule along the projected arc; None when rounding allows no decrease."""
    before = 0.5 * k @ Q @ k + q @ k
    for length in 0.6 ** np.arange(60):
        trial: Array = np.minimum(np.maximum(k - length * step, lower), upper)
        after = 0.5 * trial @ Q @ trial + q @ trial
        if after < before and after <= before + 0.1 * g @ (trial - k):
            return trial
    return None
