"""`mbrl bench family`: every planner on one problem and in one scenario."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _report
from ._bench import known, one_thread, writable
from ._numbers import SEED_NUMBER

if TYPE_CHECKING:
    from ..console.verdict import Verdict

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
    _report.add_argument(parser)
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
    _report.check(args.report)
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
    if args.report:
        _write_report(args, results, verdict)
    print(verdict.line())
    return verdict.code


def _write_report(args: argparse.Namespace, results: Mapping[str, Any], verdict: Verdict) -> None:
    from ..bench.family import report

    times = {name: {key: found["decision_ms"][key] for key in ("p50", "p99")} for name, found in results.items()}
    _report.write(
        args.report,
        verdict,
        "Bench of all planners",
        "One decision of each planner on the reference problem P7 with 30 stages, and the demo's scenario with it: a "
        f"simulated Panda, efforts, lockstep, seed {args.seed}.",
        report.table(results),
        pictures={"time of a decision": _report.bars(times, "time of a decision [ms]", logarithmic=True)},
        meanings=report.FAMILY_MEANINGS,
    )
