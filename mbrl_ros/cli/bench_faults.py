"""`mbrl bench faults`: test that the controller stays safe with bad messages, killed processes and full disks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "send bad messages to mpc_node, kill it and its robot, and count what goes wrong"
CLEAN = ("controller_crashes", "out_of_limit_commands", "non_finite_commands", "late_safe_commands", "unrecovered")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--messages", type=int, default=100_000, metavar="N", help="number of bad messages (default: %(default)d)"
    )
    parser.add_argument(
        "--kills", type=int, default=200, metavar="N", help="how often each process is killed (default: %(default)d)"
    )
    parser.add_argument(
        "--restarts",
        type=int,
        default=100,
        metavar="N",
        help="how often the controller is started with a full disk (default: %(default)d)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of messages and times (default: 0)")
    parser.add_argument(
        "--priority",
        type=int,
        default=0,
        metavar="P",
        help="SCHED_FIFO priority of the control thread and of the measurement (default: 0, ordinary scheduling)",
    )
    parser.add_argument("--quick", action="store_true", help="1000 messages, 3 kills, 1 restart")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts to FILE")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..bench.node.faults import FaultBench, table
    from ..console.progress import Progress
    from ..console.verdict import of_fault_bench

    sizes = (1000, 3, 1) if args.quick else (args.messages, args.kills, args.restarts)
    with Progress("faults", quiet=args.quiet) as shown:
        bench = FaultBench(args.seed, lambda what, done: shown.show(f"{what} {done}"), args.priority)
        counts = bench.run(*sizes)
    print(table(counts))
    for note in bench.notes[:20]:
        print(f"- {note[:1000]}")
    verdict = of_fault_bench(counts, CLEAN, (sizes[0], 2 * sizes[1]))
    if args.json:
        args.json.write_text(json.dumps(counts, indent=2))
    print(verdict.line())
    return verdict.code
