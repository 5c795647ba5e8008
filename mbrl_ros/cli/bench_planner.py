"""`mbrl bench planner`: measure the planner and other solvers on the same problems, in time and in instructions."""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from . import _report
from ._bench import one_thread
from ._numbers import COUNT, POSITIVE

HELP = "measure the time and the instructions of the planner and of other solvers"


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
        type=COUNT,
        default=(15, 30, 50, 100),
        metavar="H",
        help="in control periods (default: 15 30 50 100)",
    )
    parser.add_argument("--solvers", nargs="+", metavar="SOLVER", help="solvers by name (default: those of --peers)")
    parser.add_argument(
        "--peers",
        choices=("extra", "all"),
        default="extra",
        help="other solvers: those that the extra `bench` installs, or all that are known (default: %(default)s)",
    )
    parser.add_argument(
        "--rate", type=POSITIVE, default=500.0, metavar="HZ", help="control rate of the paced mode (default: 500)"
    )
    parser.add_argument("--calls", type=COUNT, default=400, help="timed calls per solver and mode (default: 400)")
    parser.add_argument("--quick", action="store_true", help="40 calls per solver and mode")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write {problem: {horizon: {solver: numbers}}} to FILE"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        default=Path("bench_planner.png"),
        metavar="FILE",
        help="plot of the times over horizon and nx (default: %(default)s)",
    )
    _report.add_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()
    from ..bench.planner import report, timing
    from ..bench.planner.compare import Comparison
    from ..bench.planner.peers import EXTRA_SOLVERS, SOLVERS
    from ..console.progress import Progress
    from ..console.verdict import of_solvers
    from ..exceptions import ConfigurationError

    _report.check(args.report)
    unknown = [name for name in args.solvers or () if name not in SOLVERS]
    if unknown:
        raise ConfigurationError(f"no solver {unknown}; there are {list(SOLVERS)}")
    for horizon in args.horizons:
        if not 2 <= horizon <= 500:
            raise ConfigurationError(f"a horizon must lie in [2, 500], got {horizon}")
    logging.getLogger("mbrl_ros").setLevel(logging.ERROR)
    solvers = args.solvers or [name for name in SOLVERS if args.peers == "all" or name not in EXTRA_SOLVERS]
    calls, compared = 40 if args.quick else max(args.calls, timing.CALLS_IN_BLOCK), Comparison()
    for name in args.problems:
        for horizon in args.horizons:
            with Progress(f"{name} H={horizon}", quiet=args.quiet) as shown:
                compared.add(name, horizon, solvers, calls, 1.0 / args.rate, shown.show)
            _write(args.json, compared.results)  # what an interruption must not lose
    with Progress("instructions", quiet=args.quiet) as shown:
        compared.count(shown.show)
    compared.relate()
    results = compared.results
    tables = [report.table(results), report.STAR_NOTE, report.claims(results), *report.notes(results)]
    print(*tables, sep="\n")
    optional = {} if args.solvers else {name: EXTRA_SOLVERS.get(name, "") for name in compared.left_out}
    for solver, reason in compared.left_out.items():
        how = optional.get(solver)
        print(f"left out: {solver} ({reason}){f'; to have it: {how}' if how else ''}")
    for what, reason in compared.unsolved.items():
        print(f"not solved: {what} ({reason})")
    cold, cached = configure_times()
    tables.append(f"configure P7 H=30: {cold:.1f} s cold, {cached:.2f} s from the cache")
    print(tables[-1])
    _write(args.json, results)
    report.plot(results, args.plot)
    print(f"wrote {args.plot}")
    verdict = of_solvers({name: why for name, why in compared.left_out.items() if not optional.get(name)})
    if args.report:
        _report.write(
            args.report,
            verdict,
            "Bench of solvers",
            f"This package's planner and other solvers on the same problems, {calls} timed calls of each; paced: at "
            f"{args.rate:g} Hz.",
            "\n".join([*tables, *(f"left out: {solver} ({why})" for solver, why in compared.left_out.items())]),
            pictures={"times": args.plot},
            meanings=report.SOLVER_MEANINGS,
        )
    print(verdict.line())
    return verdict.code


def _write(file: Path | None, results: dict[str, Any]) -> None:
    if file:
        file.write_text(json.dumps(results, indent=2), encoding="utf-8")


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
