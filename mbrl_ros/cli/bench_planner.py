"""`mbrl bench planner`: measure the time of one iteration of the planner and of other solvers."""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

HELP = "measure the time of the planner and of other solvers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--problems",
        nargs="+",
        choices=("P2", "P7", "P23"),
        default=("P2", "P7", "P23"),
        help="reference problems (default: all)",
    )
    parser.add_argument(
        "--horizons",
        nargs="+",
        type=int,
        default=(15, 30, 50, 100),
        metavar="H",
        help="in control periods (default: 15 30 50 100)",
    )
    parser.add_argument(
        "--solvers", nargs="+", metavar="SOLVER", help="solvers by name (default: all that are installed)"
    )
    parser.add_argument(
        "--rate", type=float, default=500.0, metavar="HZ", help="control rate of the paced mode (default: 500)"
    )
    parser.add_argument("--calls", type=int, default=400, help="timed calls per solver and mode (default: 400)")
    parser.add_argument("--quick", action="store_true", help="40 calls per solver and mode")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write {problem: {horizon: {solver: {mode: quantiles}}}} to FILE"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        default=Path("bench_planner.png"),
        metavar="FILE",
        help="plot of the times over horizon and nx (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..bench.planner import report
    from ..bench.planner.peers import SOLVERS
    from ..console.verdict import of_solvers
    from ..exceptions import ConfigurationError

    unknown = [name for name in args.solvers or () if name not in SOLVERS]
    if unknown:
        raise ConfigurationError(f"no solver {unknown}; there are {list(SOLVERS)}")
    for horizon in args.horizons:
        if not 2 <= horizon <= 500:
            raise ConfigurationError(f"a horizon must lie in [2, 500], got {horizon}")
    logging.getLogger("mbrl_ros").setLevel(logging.ERROR)
    results: report.Results = {}
    left_out: dict[str, str] = {}
    for name in args.problems:
        for horizon in args.horizons:
            times = _times(args, name, horizon, left_out)
            results.setdefault(name, {})[str(horizon)] = times
    print(report.table(results))
    for solver, reason in left_out.items():
        print(f"left out: {solver} ({reason})")
    cold, cached = configure_times()
    print(f"configure P7 H=30: {cold:.1f} s cold, {cached:.2f} s from the cache")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))
    report.plot(results, args.plot)
    print(f"wrote {args.plot}")
    verdict = of_solvers(left_out)
    print(verdict.line())
    return verdict.code


def _times(args: argparse.Namespace, name: str, horizon: int, left_out: dict[str, str]) -> dict[str, Any]:
    """Return {solver: {mode: quantiles}} of one problem; `left_out` gets the solvers that cannot run, and why."""
    from ..bench.planner import problems, timing
    from ..bench.planner.peers import SOLVERS
    from ..console.progress import Progress
    from ..exceptions import CompileError

    problem, runners = problems.make(name, horizon), {}
    for solver in args.solvers or SOLVERS:
        try:
            runner = SOLVERS[solver](problem)
            if runner is not None:
                runners[solver] = runner
        except (ModuleNotFoundError, CompileError) as error:
            left_out[solver] = str(error)
    calls = 40 if args.quick else max(args.calls, timing.CALLS_IN_BLOCK)
    times: dict[str, Any] = {solver: {} for solver in runners}
    for mode, period in (("hot", None), ("paced", 1.0 / args.rate)):
        with Progress(f"{name} H={horizon}", quiet=args.quiet) as shown:
            show = functools.partial(shown.show, f"timing {mode}")
            for solver, quantiles in timing.measure(runners, calls, period, show).items():
                times[solver][mode] = quantiles
    return times


def configure_times() -> tuple[float, float]:
    """Return how long [s] building the planner of P7 takes with an empty cache of compiled code and with a full one."""
    from ..bench.planner import problems

    before = os.environ.get("XDG_CACHE_HOME")
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            for _ in range(2):
                begin = time.perf_counter()
                problems.make("P7", 30).planner("auto")
                seconds.append(time.perf_counter() - begin)
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
    return seconds[0], seconds[1]
