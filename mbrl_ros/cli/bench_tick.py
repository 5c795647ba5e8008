"""`mbrl bench tick`: what one tick of mpc_node costs, in instructions and in time, and which part costs how much."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from . import _report
from ._bench import one_thread, writable
from ._numbers import COUNT, POSITIVE, whole

if TYPE_CHECKING:
    from ..console.verdict import Verdict

HELP = "measure the instructions of a tick of mpc_node, part by part, and its time"
WARM_UP = 220  # ticks: at 200 Hz the arm begins its first motion after 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--config", default="panda", metavar="FILE", help="a name in config/, or a YAML file (default: %(default)s)"
    )
    parser.add_argument(
        "--interface", choices=("effort", "velocity", "position"), help="what a command is (default: the file's)"
    )
    parser.add_argument("--rate", type=POSITIVE, metavar="HZ", help="control rate (default: the file's)")
    parser.add_argument("--points", type=whole(0), metavar="N", help="marks that a camera sees (default: the file's)")
    parser.add_argument("--ticks", type=COUNT, default=200, metavar="N", help="measured ticks (default: %(default)d)")
    parser.add_argument(
        "--warm-up",
        type=whole(0),
        default=WARM_UP,
        metavar="N",
        help="ticks before the measured ones (default: %(default)d)",
    )
    parser.add_argument("--quick", action="store_true", help="20 ticks after 20 of warm-up")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write {instructions, by_part, p50_us, p99_us, ...} to FILE"
    )
    _report.add_argument(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()
    from ..bench.tick.count import Job
    from ..bench.tick.measure import measure, table
    from ..bench.tick.repeated import record
    from ..console.progress import Progress
    from ..console.verdict import of_tick_bench

    writable(json=args.json)
    _report.check(args.report)
    configuration, plant = _settings(args)
    warm_up, ticks = (20, 20) if args.quick else (args.warm_up, args.ticks)
    with Progress("tick", quiet=args.quiet) as shown:
        shown.show("simulating the arm")
        job = Job(configuration, record(configuration, plant, warm_up + ticks), warm_up, ticks)
        result = measure(job, shown.show)
    result.update(rate=configuration.control.rate, interface=configuration.robot.interface)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    verdict = of_tick_bench(result)
    if args.report:
        _write_report(args, result, verdict)
    print(verdict.line())
    return verdict.code


def _settings(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return the configuration of the controller, and {key: value} of the simulated arm, that the options ask for."""
    from ..config.resources import settings_path
    from ..config.settings_file import load_configuration, read_settings

    if args.rate is not None and not 1.0 <= args.rate <= 1000.0:
        raise ConfigurationError(f"--rate must lie in [1, 1000] Hz, got {args.rate:g}", key="--rate", value=args.rate)
    given = {"robot.interface": args.interface, "control.rate": args.rate, "features.points": args.points}
    path = settings_path(args.config)
    configuration = load_configuration(path, {key: value for key, value in given.items() if value is not None})
    simulated = read_settings(path, "sim_node").items()
    plant = {key.removeprefix("plant."): value for key, value in simulated if key.startswith("plant.")}
    return configuration, plant


def _write_report(args: argparse.Namespace, result: Mapping[str, Any], verdict: Verdict) -> None:
    from ..bench.tick.measure import TICK_MEANINGS, table

    times = {"a tick": {name: result[f"{name}_us"] for name in ("p50", "p99", "max")}}
    pictures = {"time": _report.bars(times, "time of a tick [us]")}
    if result["by_part"]:
        rows = sorted(result["by_part"].items(), key=lambda entry: -entry[1])
        parts = {part: {"thousand instructions": value / 1e3} for part, value in rows}
        pictures["instructions"] = _report.bars(parts, "thousand instructions in a tick")
    _report.write(
        args.report,
        verdict,
        "Bench of a tick",
        f"{result['ticks']} ticks of mpc_node's control cycle in one process, {Path(args.config).stem}, "
        f"{result['interface']}, {result['rate']:g} Hz.",
        table(result),
        pictures=pictures,
        meanings=TICK_MEANINGS,
    )
