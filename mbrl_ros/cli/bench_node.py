"""`mbrl bench node`: measure how fast mpc_node answers a state, and its processor time and memory."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _report
from ._numbers import POSITIVE, whole

if TYPE_CHECKING:
    from ..console.verdict import Verdict

HELP = "measure the time of mpc_node from state to command over DDS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--rates",
        nargs="+",
        type=POSITIVE,
        default=(200.0, 500.0),
        metavar="HZ",
        help="control rates (default: 200 500)",
    )
    parser.add_argument(
        "--duration", type=POSITIVE, default=20.0, metavar="S", help="seconds at each rate (default: %(default)g)"
    )
    parser.add_argument(
        "--priority",
        type=whole(0, 99),
        default=0,
        metavar="P",
        help="SCHED_FIFO priority of the control thread (default: 0, ordinary scheduling)",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="policy that acts (from `mbrl demo --scenario distill`), with the planner at 200 Hz beside it",
    )
    parser.add_argument("--quick", action="store_true", help="3 s at each rate")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write {rate: {message_to_command_ms, period_us, ...}} to FILE"
    )
    _report.add_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..bench.node.latency import BENCH_WARM_UP, measure, table
    from ..console.progress import Progress
    from ..console.verdict import of_node_bench
    from ..exceptions import ConfigurationError

    for rate in args.rates:
        if not 1.0 <= rate <= 1000.0:
            raise ConfigurationError(f"a rate must lie in [1, 1000] Hz, got {rate:g}")
    seconds = 3.0 if args.quick else args.duration
    _report.check(args.report)
    results = {}
    for rate in args.rates:
        with Progress(f"{rate:g} Hz", BENCH_WARM_UP + seconds, quiet=args.quiet) as shown:
            results[f"{rate:g}"] = measure(
                rate,
                seconds,
                priority=args.priority,
                policy=args.policy,
                progress=lambda done: shown.show("measuring", done),
            )
    verdict = of_node_bench(results)
    print(table(results))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))
    if args.report:
        _write_report(args, seconds, results, verdict)
    print(verdict.line())
    return verdict.code


def _write_report(
    args: argparse.Namespace, seconds: float, results: Mapping[str, Mapping[str, Any]], verdict: Verdict
) -> None:
    from ..bench.node.latency import LATENCY_MEANINGS, table

    latency = {f"{rate} Hz": result["message_to_command_ms"] for rate, result in results.items()}
    acts = f"the policy {args.policy.name} acts" if args.policy else "the planner acts"
    _report.write(
        args.report,
        verdict,
        "Bench of the node",
        f"mpc_node over DDS, {seconds:g} s at each rate; {acts}; SCHED_FIFO priority {args.priority} (0: ordinary).",
        table(results),
        pictures={"state to command": _report.bars(latency, "state to command [ms]", logarithmic=True)},
        meanings=LATENCY_MEANINGS,
    )
