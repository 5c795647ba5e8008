"""`mbrl bench parking`: plan the parking of a kinematic bicycle by collocation."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from math import cos, sin
from pathlib import Path
from typing import Any

from ..console.colors import ACCENT, WARN
from . import _report
from ._bench import one_thread, writable
from ._numbers import real, whole

HELP = "park a kinematic bicycle with a bounded steering angle by collocation, on a coarse and a fine grid"
MOST_INTERVALS = 500
GRIDS_HEAD = "| grid | intervals | outcome | iterations | seconds | duration [s] | cost | defect |"
PARKING_MEANINGS = {
    "intervals": "of the grid",
    "outcome, iterations, seconds": "of the solver, and how long it took [s]",
    "duration": "of the drive [s]",
    "cost": "the duration, and a small weight on acceleration and steering rate [s]",
    "defect": "largest violation of the dynamics in an interval, in the units of the state",
}


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
    _report.add_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()
    import numpy as np

    from ..console.verdict import PASS, Verdict
    from ..planners.collocation.hermite_simpson import hermite_simpson, resampled
    from ..planners.collocation.nlp_solver import Outcome
    from ..planners.collocation.parking import forth_and_back, parking

    writable(json=args.json)
    _report.check(args.report)
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
    print(_table(grids))
    if args.json:
        states = {"t": plan.t.tolist(), "X": plan.X.tolist(), "U": plan.U.tolist()}
        args.json.write_text(json.dumps({**grids, **states}, indent=1), encoding="utf-8")
        print(f"wrote {args.json}")
    solved = plan.outcome is Outcome.SOLVED
    verdict = PASS if solved else Verdict(False, f"the solver ended with {plan.outcome.name}", None, "another --end")
    if args.report:
        _report.write(
            args.report,
            verdict,
            "Parking by collocation",
            f"A kinematic bicycle drives from (0, 0, 0) to {tuple(args.end)} [m, m, rad].",
            _table(grids),
            pictures={"way": _drawn(plan)},
            meanings=PARKING_MEANINGS,
        )
    print(verdict.line())
    return verdict.code


def _table(grids: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the grids as Markdown."""
    rows = [
        f"| {name} | {found['intervals']} | {found['outcome']} | {found['iterations']} | {found['seconds']:.2f} | "
        f"{found['duration_s']:.3f} | {found['cost']:.4f} | {found['defect']:.1e} |"
        for name, found in grids.items()
    ]
    return "\n".join([GRIDS_HEAD, "|---|---:|---|---:|---:|---:|---:|---:|", *rows])


def _drawn(plan: Any) -> bytes:
    """Return a PNG of the way of the rear axle, and of speed and steering over time."""
    from matplotlib.figure import Figure

    from ..console import web_page

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    way, over_time = figure.subplots(1, 2)
    way.plot(plan.X[:, 0], plan.X[:, 1], color=ACCENT)
    for x, y, heading in (plan.X[0, :3], plan.X[-1, :3]):
        way.annotate("", (x + 0.4 * cos(heading), y + 0.4 * sin(heading)), (x, y), arrowprops={"arrowstyle": "->"})
    way.set(xlabel="x [m]", ylabel="y [m]", aspect="equal", title="rear axle; arrows: first and last heading")
    over_time.plot(plan.t, plan.X[:, 3], color=ACCENT, label="speed [m/s]")
    over_time.plot(plan.t, plan.X[:, 4], color=WARN, label="steering angle [rad]")
    over_time.set(xlabel="time [s]", title="fine grid")
    over_time.legend(frameon=False)
    return web_page.png(figure)
