r"""Three ways to execute a plan: its commands, its feedback law, or the maximum-entropy Gaussian around that law.

    open_loop   u = u_hat
    feedback    u = u_hat + K (x - x_hat) + K_u (u_prev - u_hat_{t-1})
    gaussian    u ~ N(the same, Q_uu^-1)

Source: Levine & Abbeel, NIPS 2014; the covariance of the third is also exploration.
"""

from __future__ import annotations

import numpy as np

from ..exceptions import ConfigurationError
from ..types import Array, Plan

MODES = ("open_loop", "feedback", "gaussian")


def execute(
    plan: Plan,
    mode: str,
    x: Array,
    u_previous: Array,
    u_lower: Array,
    u_upper: Array,
    stage: int = 0,
    random: np.random.Generator | None = None,
) -> Array:
    """Compute the command of one stage, inside its limits.

    Parameters
    ----------
    plan, mode
        What to execute, and which of MODES.
    x
        The state (nx,) now.
    u_previous
        The command (nu,) in effect until now, compared with the plan's from stage 1 on (stage 0 was planned for it).
    u_lower, u_upper
        Limits (nu,).
    stage
        The stage that begins now.
    random
        Needed for "gaussian", whose covariance is the inverse of plan.Q_uu (temperature Q_uu^-1 of the problem); where
        that is not positive definite no noise is added.

    Returns
    -------
    Array
        The command (nu,).

    Raises
    ------
    ConfigurationError
        There is no such mode.
    """
    if mode not in MODES:
        raise ConfigurationError(f"no execution mode '{mode}'; there are {list(MODES)}", key="execution", value=mode)
    u = np.array(plan.u_hat[stage])
    if mode != "open_loop":
        u += plan.K[stage] @ (x - plan.x_hat[stage])
        if stage > 0:
            u += plan.K_u[stage] @ (u_previous - plan.u_hat[stage - 1])
    if mode == "gaussian" and random is not None:
        u += _sample(plan.Q_uu[stage], random)
    limited: Array = np.minimum(np.maximum(u, u_lower), u_upper)  # np.clip takes five times as long for a few joints
    return limited


def _sample(precision: Array, random: np.random.Generator) -> Array:
    """Draw from N(0, precision^-1), (nu,)."""
    try:
        L = np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        return np.zeros(len(precision))
    sample: Array = np.linalg.solve(L.T, random.standard_normal(len(precision)))  # covariance L^-T L^-1
    return sample
