"""Measure the times of solvers together: hot (one call after the other) or paced (one call per control period)."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from .peer import Runner

SPIN_TIME = 3e-4  # [s] before a deadline at which sleeping ends and spinning begins
FEWEST_CALLS = 5  # calls of a solver, however slow it is
CALLS_IN_BLOCK = 20  # calls of one solver before the next one's turn, so that disturbances affect all alike


def measure(
    runners: dict[str, Runner], calls: int, period: float | None, tick: Callable[[], None] = lambda: None
) -> dict[str, dict[str, float]]:
    """Measure every solver.

    Parameters
    ----------
    runners
        {solver: (prepare, run)}.
    calls
        Calls of each; slow solvers get fewer (at least FEWEST_CALLS), so that the duration is bounded.
    period
        Time [s] between their starts; None: hot.
    tick
        Is called now and then, to show the progress.

    Returns
    -------
    dict
        {solver: {"p50_us", "p99_us", "max_us"}}.
    """
    spent: dict[str, list[float]] = {name: [] for name in runners}
    with quiet():
        for prepare, run in runners.values():
            for _ in range(3):
                prepare()
                run()
        rounds = max(1, calls // CALLS_IN_BLOCK)
        budget = 3.0 * (period or 1e-3) * calls  # [s] for any one solver
        for _ in range(rounds):
            for name, (prepare, run) in runners.items():
                if sum(spent[name]) > budget:
                    continue
                due = time.perf_counter()
                for _ in range(CALLS_IN_BLOCK):
                    prepare()
                    if period:
                        due = max(due + period, time.perf_counter())
                        _wait(due)
                    begin = time.perf_counter()
                    run()
                    spent[name].append(time.perf_counter() - begin)
                    if sum(spent[name]) > budget and len(spent[name]) >= FEWEST_CALLS:
                        break
                tick()
    return {name: summary(times) for name, times in spent.items()}


def summary(times: list[float]) -> dict[str, float]:
    """Return the quantiles of times [s] in microseconds."""
    p50, p99 = np.percentile(times, (50, 99))
    return {"p50_us": 1e6 * float(p50), "p99_us": 1e6 * float(p99), "max_us": 1e6 * max(times)}


@contextmanager
def quiet() -> Iterator[None]:
    """Switch garbage collection off within the context, and bind the process to one core (Linux)."""
    cores = os.sched_getaffinity(0) if sys.platform == "linux" else None
    gc.collect()
    gc.disable()
    if cores:
        os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        gc.enable()
        if cores:
            os.sched_setaffinity(0, cores)


def _wait(deadline: float) -> None:
    ahead = deadline - time.perf_counter() - SPIN_TIME
    if ahead > 0.0:
        time.sleep(ahead)
    while time.perf_counter() < deadline:
        continue
