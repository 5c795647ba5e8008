"""What one decision of each planner costs, in time and in multiples of one iLQR iteration of the same run.

The problem is P7 of the bench of planners (bench/planner/problems.py) over 30 stages. Every planner has its default
settings and plans again and again from the same state, warm, one call after the other; the calls of all are
interleaved. `ddp`, which plans through a nonlinear model, gets a model that is zero beside the same linear dynamics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...config.configuration import Configuration
from ...planners.base import PlannerContext, build_planner
from ..planner.ours import iteration
from ..planner.peer import Runner
from ..planner.problems import BenchProblem, make
from ..planner.timing import measure

STAGES, CALLS = 30, 1000  # of the horizon; calls of the fastest: a planner is given 3 ms for each
ITERATION = "one iteration"


def decisions(names: Sequence[str], tick: Callable[[], None] = lambda: None) -> dict[str, dict[str, Any]]:
    """Return {planner: {"decision_ms": {"p50", "p99"}, "iterations_equivalent"}} for the planners `names`."""
    problem = make("P7", STAGES)
    runners = {ITERATION: iteration(problem, problem.planner("auto"))}
    runners |= {name: decision(problem, name) for name in names}
    times = measure(runners, CALLS, None, tick)
    unit = times[ITERATION]["p50_us"]
    return {
        name: {
            "decision_ms": {"p50": 1e-3 * times[name]["p50_us"], "p99": 1e-3 * times[name]["p99_us"]},
            "iterations_equivalent": times[name]["p50_us"] / unit,
        }
        for name in names
    }


def decision(problem: BenchProblem, name: str) -> Runner:
    """Return (prepare, run) of one decision of the planner `name`."""
    configuration = Configuration.from_flat({"control.planner": name, "planner.horizon": problem.horizon})
    high, anywhere = np.full(problem.nu, problem.bound), np.full(problem.nx, np.inf)
    planner = build_planner(
        configuration,
        PlannerContext(
            problem.cost,
            configuration.planner,
            problem.nx,
            problem.nu,
            -high,
            high,
            -anywhere,
            anywhere,
            problem.zero_model,
        ),
    )
    parameters, rest = problem.parameters, np.zeros(problem.nu)
    planner.reset(problem.x0, rest)
    return lambda: None, lambda: planner.plan(problem.x0, problem.dynamics, parameters, rest)
