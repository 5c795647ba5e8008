"""Three ways to act on a plan: its commands, its feedback law, or the maximum-entropy Gaussian around that law.

open_loop   u = u_hat
feedback    u = u_hat + K (x - x_hat) + K_u (u_prev - u_hat_{t-1})
gaussian    u ~ N(the same, Q_uu^-1)          (Levine & Abbeel 2014: also the exploration noise)
"""

from __future__ import annotations

import numpy as np

from ...exceptions import ConfigurationError
from ...types import Array, Plan

WAYS = ("open_loop", "feedback", "gaussian")


def act(
    plan: Plan,
    way: str,
    x: Array,
    u_previous: Array,
    u_lower: Array,
    u_upper: Array,
    stage: int = 0,
    random: np.random.Generator | None = None,
) -> Array:
    """The command (nu,) at a stage, inside its bounds.

    x (nx,): the state now; u_previous (nu,): the command in effect until now, compared with the plan's from stage 1 on
    (at stage 0 the plan was made for it). `random` is needed for 'gaussian', whose covariance is the inverse of plan.Q_uu
    (temperature Q_uu^-1 of the problem); where that is not positive definite, no noise is added.
    """
    u = np.array(plan.u_hat[stage])
    if way == "open_loop":
        return np.clip(u, u_lower, u_upper)
    u += plan.K[stage] @ (x - plan.x_hat[stage])
    if stage > 0:
        u += plan.K_u[stage] @ (u_previous - plan.u_hat[stage - 1])
    if way == "gaussian":
        u += _sample(plan.Q_uu[stage], random)
    elif way != "feedback":
        raise ConfigurationError(f"no way to act called '{way}'; there are {list(WAYS)}", key="acting", value=way)
    return np.clip(u, u_lower, u_upper)


def _sample(precision: Array, random: np.random.Generator) -> Array:
    try:
        L = np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        return np.zeros(len(precision))
    return np.linalg.solve(L.T, random.standard_normal(len(precision)))  # covariance L^-T L^-1
