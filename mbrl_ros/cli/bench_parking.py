"""`mbrl bench parking`: plan the parking of a kinematic bicycle by collocation."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from ._bench import one_thread, writable
from ._numbers import real, whole

HELP = "park a kinematic bicycle with a bounded steering angle by collocation, on a coarse and a fine grid"
MOST_INTERVALS = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--end",
        nargs=3,
        type=real(),
        default=(0.0, 1.5, 0.0),
        metavar=("X", "Y", "HEADING"),
        help="pose where it is parked [m, m, rad]; it begins at 0 0 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--intervals",
        type=whole(2, MOST_INTERVALS),
        default=60,
        metavar="N",
        help="of the fine grid; the coarse one has a third (default: %(default)d)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write {grid: {intervals, outcome, iterations, seconds, duration_s, cost, defect}, t, X, U}",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()
    import numpy as np

    from ..console.verdict import PASS, Verdict
    from ..planners.collocation.hermite_simpson import hermite_simpson, resampled
    from ..planners.collocation.nlp_solver import Outcome
    from ..planners.collocation.parking import forth_and_back, parking

    writable(json=args.json)
    problem = parking(np.zeros(3), np.array(args.end))
    coarse, start = max(2, args.intervals // 3), time.perf_counter()
    plan = hermite_simpson(problem, coarse, forth_and_back(problem, coarse))
    grids = {}
    for name, intervals in (("coarse", coarse), ("fine", args.intervals)):
        if name == "fine":
            start, plan = time.perf_counter(), hermite_simpson(problem, intervals, resampled(plan, intervals))
        grids[name] = {
            "intervals": intervals,
            "outcome": plan.outcome.name.lower(),
            "iterations": plan.iterations,
            "seconds": time.perf_counter() - start,
            "duration_s": plan.duration,
            "cost": plan.cost,
            "defect": plan.defect(),
        }
    print("| grid | intervals | outcome | iterations | seconds | duration [s] | cost | defect |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for name, found in grids.items():
        print(
            f"| {name} | {found['intervals']} | {found['outcome']} | {found['iterations']} | {found['seconds']:.2f} | "
            f"{found['duration_s']:.3f} | {found['cost']:.4f} | {found['defect']:.1e} |"
        )
    if args.json:
        states = {"t": plan.t.tolist(), "X": plan.X.tolist(), "U": plan.U.tolist()}
        args.json.write_text(json.dumps({**grids, **states}, indent=1), encoding="utf-8")
        print(f"wrote {args.json}")
    solved = plan.outcome is Outcome.SOLVED
    verdict = PASS if solved else Verdict(False, f"the solver ended with {plan.outcome.name}", None, "another --end")
    print(verdict.line())
    return verdict.code
