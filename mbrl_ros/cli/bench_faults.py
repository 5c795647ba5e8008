"""`mbrl bench faults`: test that wrong messages, killed processes and wrong files hurt no arm and are reported."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from . import _report
from ._bench import known, writable
from ._numbers import SEED_NUMBER, whole

if TYPE_CHECKING:
    from ..bench.node.fault_suite import FaultSuite
    from ..console.verdict import Verdict

HELP = "send wrong messages to mpc_node, kill it, its guard and its robot, and count what goes wrong"
NOTES_SHOWN = 40
CLEAN = (
    "controller_crashes",
    "out_of_limit_commands",
    "non_finite_commands",
    "late_safe_commands",
    "unrecovered",
    "falls",
    "silent_failures",
    "unasked_commands",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--messages",
        type=whole(0),
        default=100_000,
        metavar="N",
        help="number of bad messages, and of wrong joint states with each interface (default: %(default)d)",
    )
    parser.add_argument(
        "--kills",
        type=whole(0),
        default=200,
        metavar="N",
        help="how often each process is killed or stopped (default: %(default)d)",
    )
    parser.add_argument(
        "--restarts",
        type=whole(0),
        default=100,
        metavar="N",
        help="how often the controller is started with a full disk; for every 25 of them each wrong parameter file is "
        "tried once with each interface (default: %(default)d)",
    )
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help="the kinds of faults that are tried (default: all of the table)"
    )
    parser.add_argument(
        "--interfaces",
        nargs="+",
        default=["effort", "velocity", "position"],
        choices=["effort", "velocity", "position"],
        metavar="INTERFACE",
        help="effort, velocity, position (default: all three)",
    )
    parser.add_argument("--seed", type=SEED_NUMBER, default=0, help="of messages and times (default: 0)")
    parser.add_argument(
        "--priority",
        type=whole(0, 99),
        default=0,
        metavar="P",
        help="SCHED_FIFO priority of the control thread and of the measurement (default: 0, ordinary scheduling)",
    )
    parser.add_argument("--quick", action="store_true", help="1000 messages, 3 kills, 1 restart, some parameter files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts and the table's rows to FILE")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table to FILE (Markdown)")
    _report.add_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..bench.node.fault_record import table, table_of_cells
    from ..bench.node.fault_suite import FAULT_KINDS, FaultSuite, Sizes
    from ..console.progress import Progress
    from ..console.verdict import of_fault_bench
    from ..exceptions import ConfigurationError

    kinds, interfaces = known("kind", args.kinds or FAULT_KINDS, FAULT_KINDS), tuple(dict.fromkeys(args.interfaces))
    writable(json=args.json, table=args.table)
    _report.check(args.report)
    sizes = Sizes(1000, 3, 1, quick=True) if args.quick else Sizes(args.messages, args.kills, args.restarts)
    with Progress("faults", quiet=args.quiet) as shown:
        suite = FaultSuite(args.seed, shown.show, args.priority, kinds, interfaces)
        if not any(part.count for part in suite.parts(sizes)):
            raise ConfigurationError("no fault is asked for: choose other --kinds, --interfaces or numbers")
        suite.run(sizes)
    counts, rows = suite.counts(), table_of_cells(suite.cells)
    print(f"{rows}\n\n{table(counts)}")
    for note in suite.notes[:NOTES_SHOWN]:
        print(f"- {note}")
    verdict = of_fault_bench(counts, CLEAN, suite.asked(), suite.unjudged())
    if args.json:
        whole = {**counts, "seed": args.seed, "table": [cell.numbers() for cell in suite.cells], "notes": suite.notes}
        args.json.write_text(json.dumps(whole, indent=2))
    if args.table:
        args.table.write_text(f"{rows}\n")
    if args.report:
        _write_report(args, suite, verdict)
    print(verdict.line())
    return verdict.code


def _write_report(args: argparse.Namespace, suite: FaultSuite, verdict: Verdict) -> None:
    from ..bench.node.fault_record import FAULT_MEANINGS, table, table_of_cells

    counts = suite.counts()
    made: dict[str, dict[str, float]] = {}
    for cell in suite.cells:
        row = made.setdefault(cell.kind, {"messages and kills": 0.0})
        row["messages and kills"] += cell.messages + cell.kills
    _report.write(
        args.report,
        verdict,
        "Bench of faults",
        f"Wrong messages to mpc_node, killed processes and wrong files, seed {args.seed}. It passes where every count "
        f"of {', '.join(name.replace('_', ' ') for name in CLEAN)} is 0.",
        "\n".join([table_of_cells(suite.cells), table(counts), *(f"- {note}" for note in suite.notes[:NOTES_SHOWN])]),
        pictures={"faults made": _report.bars(made, "messages and kills", logarithmic=True)},
        meanings=FAULT_MEANINGS,
    )
