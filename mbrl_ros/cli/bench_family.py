"""`mbrl bench family`: every planner on one problem and in one scenario."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from ._bench import known, one_thread, writable
from ._numbers import SEED_NUMBER

HELP = "measure what a decision of each planner costs, and whether the arm reaches its targets with it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--planners", nargs="+", metavar="NAME", help="by name (default: all)")
    parser.add_argument("--seed", type=SEED_NUMBER, default=0, help="of targets and noise (default: %(default)d)")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write {planner: {decision_ms: {p50, p99}, iterations_equivalent, demo: {reached, targets, rest_mm}}}",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()
    from ..bench.family import report
    from ..bench.family.closed_loop import closed_loop, options
    from ..bench.family.decisions import decisions
    from ..config import registry
    from ..console.progress import Progress
    from ..demo.run import Run

    writable(json=args.json)
    planners = registry.names("planner")
    names = known("planner", args.planners or planners, planners)
    runs = {name: Run(options(name, args.seed)) for name in names}  # settings that cannot be used are refused first
    with Progress("decisions", quiet=args.quiet) as shown:
        shown.show("P7, 30 stages")
        results = decisions(names)
    for name, one in runs.items():
        with Progress(name, quiet=args.quiet) as shown:
            shown.show("building the controller")
            results[name]["demo"] = closed_loop(one, partial(shown.counted, "tick"))
    print(report.table(results))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
        print(f"wrote {args.json}")
    verdict = report.verdict(results)
    print(verdict.line())
    return verdict.code
