"""`mbrl record`: record a bag with everything that `mbrl replay` needs, in a process of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._numbers import POSITIVE, real

HELP = "record inputs, commands, plans, status, parameters and versions as a rosbag2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder of the bag (default: mbrl_ and the date)"
    )
    parser.add_argument("--namespace", default="", help="namespace of the controller, for instance /left")
    parser.add_argument(
        "--topics", nargs="+", default=[], metavar="PATTERN", help="record further topics, for instance '/camera/*'"
    )
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), help="storage format (default: mcap)")
    parser.add_argument("--compress", action="store_true", help="compress with zstd")
    parser.add_argument("--part-mb", type=POSITIVE, metavar="MB", help="size of one storage file (default: 64)")
    parser.add_argument(
        "--total-mb",
        type=POSITIVE,
        metavar="MB",
        help="size of all storage files together; the oldest are deleted (default: 1024)",
    )
    parser.add_argument(
        "--min-free-mb", type=real(0.0), metavar="MB", help="pause while less is free on the disk (default: 512)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..nodes import record_node

    given = {
        "output": args.output and str(args.output),
        "storage": args.storage,
        "part_mb": args.part_mb,
        "total_mb": args.total_mb,
        "min_free_mb": args.min_free_mb,
    }
    parameters = [f"{name}:={spelled(value)}" for name, value in given.items() if value is not None]
    parameters += ["compress:=true"] if args.compress else []
    parameters += [f"topics:=[{', '.join(map(spelled, args.topics))}]"] if args.topics else []
    words = ["--ros-args", *(word for parameter in parameters for word in ("-p", parameter))]
    if args.namespace:
        words += ["-r", f"__ns:={args.namespace if args.namespace.startswith('/') else '/' + args.namespace}"]
    return record_node.main(words)


def spelled(value: str | float) -> str:
    """Return a parameter's value as YAML."""
    return f'"{value}"' if isinstance(value, str) else repr(float(value))
