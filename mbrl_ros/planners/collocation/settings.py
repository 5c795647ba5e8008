"""Settings of the planner `collocation`, beside those that all planners have in common."""

from __future__ import annotations

import dataclasses

from ...config.section import Section, setting
from .nlp_solver import NLP_SOLVERS
from .transcription import HESSIANS


@dataclasses.dataclass(frozen=True)
class Settings(Section):
    """It also uses horizon, discount, backend, time_budget, state_limits, temperature and execution of all planners."""

    solver: str = setting(
        "fatrop",
        "solver of the nonlinear programme: fatrop: interior point with a Riccati recursion; ipopt: the same with a"
        " general sparse factorization, which also starts from the last multipliers",
        choices=NLP_SOLVERS,
    )
    hessian: str = setting(
        "exact",
        "exact: second derivatives of cost and model; gauss_newton: without the curvature of residuals and of the"
        " model, never indefinite",
        choices=HESSIANS,
    )
    iterations: int = setting(100, "iterations of the solver per tick", low=1, high=10000)
    tolerance: float = setting(
        1e-6, "the solver ends when the optimality conditions hold to this, in its scaled units", low=1e-12, high=1e-2
    )
    warm_barrier: float = setting(
        1e-3,
        "weight of the solver's barrier at the start from the last plan; a larger one is better where limits become"
        " active or inactive from tick to tick",
        low=1e-9,
        high=1.0,
    )
    nonlinear: bool = setting(
        False, "plan through the nonlinear prior itself, as the planner ddp does, and not through its linearization"
    )
