"""What the bench knows of a solver: how it is run, and how it is brought to a given accuracy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...types import Array
from .quadratic import QuadraticProblem, residual

SOLVED = 1e-6  # largest KKT residual of a problem that counts as solved
MOST_ITERATIONS = 60  # of Newton and interior-point methods, which need some ten
CALLS_TRIED = 5  # calls that tell which of a solver's settings is the fastest
LONGEST_TRIED = 2.0  # [s] of a call after which more effort is not tried

Runner = tuple[Callable[[], None], Callable[[], object]]
Trajectory = tuple[Array, Array, int]


@dataclass(frozen=True, eq=False, slots=True)
class Variant:
    """One way of a solver, by its settings, to solve the quadratic problem.

    efforts: what `run` is tried with until the result is accurate enough, in ascending order (a number of iterations,
    or a setting of the tolerance); prepare: puts the solver to the problem's first trajectory; run: solves, and is
    timed; found: X (H+1, nx), U (H, nu) and the iterations of the last run.
    """

    name: str
    efforts: Sequence[Any]
    prepare: Callable[[], None]
    run: Callable[[Any], object]
    found: Callable[[], Trajectory]


@dataclass(frozen=True, eq=False, slots=True)
class Solved:
    """A variant with the effort that solves the problem: the iterations and the residual there."""

    variant: Variant
    effort: Any
    iterations: int
    residual: float

    @property
    def runner(self) -> Runner:
        """What is timed: (prepare, run)."""
        return self.variant.prepare, lambda: self.variant.run(self.effort)


@dataclass(frozen=True, eq=False, slots=True)
class Peer:
    """A solver for one problem.

    iteration: (prepare, run) of one iteration, None for a QP solver, of which one whole solution is timed instead;
    variants: its ways to solve the quadratic problem; reason: why there are none; binaries: parts of the names of the
    shared libraries that do the work, () if an interpreter does; note: what else is to be said of it.
    """

    iteration: Runner | None
    variants: tuple[Variant, ...] = ()
    reason: str = ""
    binaries: tuple[str, ...] = ()
    note: str = ""


def solved(problem: QuadraticProblem, variants: Sequence[Variant]) -> tuple[Solved | None, str]:
    """Return the fastest of the variants that solve the problem to SOLVED, or None and the smallest residual."""
    found, least = [], math.inf
    for variant in variants:
        reached = _least_effort(problem, variant)
        if isinstance(reached, Solved):
            found.append((_duration(reached), reached))
        else:
            least = min(least, reached)
    if not found:
        return None, f"its residual does not fall below {least:.0e} within {LONGEST_TRIED:g} s or the efforts tried"
    return min(found, key=lambda entry: entry[0])[1], ""


def _least_effort(problem: QuadraticProblem, variant: Variant) -> Solved | float:
    """Return an effort that is enough while the next smaller one is not, or the smallest residual seen.

    The number of efforts is doubled until one is enough, and then the place between is halved.
    """
    least, enough = math.inf, None
    fails, step = -1, 1
    while enough is None and fails < len(variant.efforts) - 1:
        place = min(fails + step, len(variant.efforts) - 1)
        tried, spent = _tried(problem, variant, place)
        if tried.residual <= SOLVED:
            enough, passes = tried, place
            break
        least = min(least, tried.residual)
        if spent > LONGEST_TRIED:
            break
        fails, step = place, 2 * step
    if enough is None:
        return least
    while passes - fails > 1:
        place = (passes + fails) // 2
        tried, _ = _tried(problem, variant, place)
        if tried.residual <= SOLVED:
            enough, passes = tried, place
        else:
            fails = place
    return enough


def _tried(problem: QuadraticProblem, variant: Variant, place: int) -> tuple[Solved, float]:
    """Return what an effort leads to, a residual of infinity where it is not finite, and how long [s] it took."""
    effort = variant.efforts[place]
    variant.prepare()
    begin = time.perf_counter()
    variant.run(effort)
    spent = time.perf_counter() - begin
    X, U, iterations = variant.found()
    value = residual(problem, X, U).largest
    return Solved(variant, effort, iterations, value if math.isfinite(value) else math.inf), spent


def _duration(reached: Solved) -> float:
    prepare, run = reached.runner
    spent = []
    for _ in range(CALLS_TRIED):
        prepare()
        begin = time.perf_counter()
        run()
        spent.append(time.perf_counter() - begin)
    return min(spent)
