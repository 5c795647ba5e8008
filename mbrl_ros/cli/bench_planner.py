"""How long does one iteration of the planner take, beside its peers, hot and once per control period?"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from pathlib import Path

HELP = "time the planner against its peers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--problems", nargs="+", choices=("P2", "P7", "P23"), default=("P2", "P7", "P23"))
    parser.add_argument("--horizons", nargs="+", type=int, default=(15, 30, 50, 100), metavar="H")
    parser.add_argument("--solvers", nargs="+", metavar="SOLVER", help="default: all that are installed")
    parser.add_argument("--rate", type=float, default=500.0, metavar="HZ", help="control rate of the paced mode")
    parser.add_argument("--calls", type=int, default=400, help="timed calls per solver and mode")
    parser.add_argument("--quick", action="store_true", help="40 calls per solver and mode")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write {problem: {horizon: {solver: {mode: quantiles}}}}"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        default=Path("bench_planner.png"),
        metavar="FILE",
        help="time against horizon and against nx (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    from ..bench.planner import problems, report, timing
    from ..bench.planner.peers import SOLVERS
    from ..console.progress import Progress
    from ..console.verdict import of_solvers
    from ..exceptions import CompileError, ConfigurationError

    unknown = [name for name in args.solvers or () if name not in SOLVERS]
    if unknown:
        raise ConfigurationError(f"no solver {unknown}; there are {list(SOLVERS)}")
    for horizon in args.horizons:
        if not 2 <= horizon <= 500:
            raise ConfigurationError(f"a horizon must lie in [2, 500], got {horizon}")
    calls = 40 if args.quick else max(args.calls, timing.BLOCK)
    logging.getLogger("mbrl_ros").setLevel(logging.ERROR)
    results: report.Results = {}
    left_out: dict[str, str] = {}
    for name in args.problems:
        for horizon in args.horizons:
            problem = problems.make(name, horizon)
            runners = {}
            for solver in args.solvers or SOLVERS:
                try:
                    runner = SOLVERS[solver](problem)
                    if runner is not None:
                        runners[solver] = runner
                except (ModuleNotFoundError, CompileError) as error:
                    left_out[solver] = str(error)
            by_solver: dict = {solver: {} for solver in runners}
            for mode, period in (("hot", None), ("paced", 1.0 / args.rate)):
                with Progress(f"{name} H={horizon}", quiet=args.quiet) as shown:
                    what = f"timing {mode}"
                    for solver, quantiles in timing.measure(runners, calls, period, lambda: shown.show(what)).items():
                        by_solver[solver][mode] = quantiles
            results.setdefault(name, {})[str(horizon)] = by_solver
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


def configure_times() -> tuple[float, float]:
    """Seconds to make the planner of P7 with an empty cache of compiled code, and again with a full one."""
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
