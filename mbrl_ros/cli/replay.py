"""`mbrl replay`: what ran on the robot, through the same controller again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..console.verdict import of_differences, of_sides
from ..exceptions import ConfigurationError

HELP = "replay a bag through the nodes' conversion and the same controller, offline and deterministic"
EPILOGUE = """examples:
  mbrl replay run1 --output out                     report, summary and a table of all ticks
  mbrl replay run1 --set planner.horizon=50         what if?
  mbrl replay run1 --compare . planner.horizon=15   the recorded settings against others
  mbrl replay run1 --save-golden run1.npz           ... and in CI: mbrl replay run1 --check run1.npz
  mbrl replay foreign.db3 --config panda --joint 'fer_joint{}=panda_joint{}'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = EPILOGUE, argparse.RawDescriptionHelpFormatter
    parser.add_argument("bag", nargs="?", type=Path, metavar="BAG", help="rosbag2 folder, .db3 or .mcap")
    parser.add_argument(
        "--config",
        default="",
        metavar="NAME|FILE",
        help="a name from config/ or a YAML file "
        "(default: what was recorded, else the configuration with the bag's joints)",
    )
    parser.add_argument(
        "--robot",
        default="",
        metavar="URDF",
        help="URDF file or 'package-data:NAME'; short for --set robot.description=URDF",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="change settings of the controller",
    )
    parser.add_argument(
        "--from", type=float, default=0.0, metavar="S", dest="begin", help="seconds after the bag's first message"
    )
    parser.add_argument("--to", type=float, default=float("inf"), metavar="S", dest="end")
    parser.add_argument("--no-plan", action="store_true", help="learn and predict only; no commands are computed")
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="ROLE=TOPIC",
        help="roles: states, commands, "
        "features, features_vector, target_joints, target_point, target_pose, target_trajectory, "
        "target_features; an empty TOPIC leaves it out",
    )
    parser.add_argument(
        "--joint",
        action="append",
        default=[],
        metavar="BAG=ROBOT",
        help="the robot's name of a joint of the bag, for instance 'fer_joint{}=panda_joint{}'",
    )
    parser.add_argument("--map", type=Path, metavar="FILE", help="YAML with the mappings 'topics' and 'joints'")
    parser.add_argument(
        "--stamps",
        choices=("header", "bag"),
        default="header",
        help="whose stamps the joint states carry: bag where their headers are empty",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.html, summary.json and the table of ticks"
    )
    parser.add_argument(
        "--table", choices=("csv", "parquet", "none"), default="csv", help="form of the table (default: csv)"
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="each an output folder of an earlier replay, another "
        "bag, or settings KEY=VALUE[,KEY=VALUE...] for BAG ('.': as it is)",
    )
    parser.add_argument("--save-golden", type=Path, metavar="FILE", help="keep this replay to check later ones against")
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="compare with a golden replay; exit code 1 if they differ"
    )
    parser.add_argument(
        "--tolerance", type=float, metavar="X", help="of --check, as a fraction of each command's range (default: 1e-3)"
    )
    live = parser.add_argument_group("live, over DDS")
    live.add_argument(
        "--live",
        action="store_true",
        help="publish the bag in its own time, with /clock; not what commands "
        "a robot. Enter pauses. Only --from, --to and these options apply",
    )
    live.add_argument("--rate", type=float, default=1.0, metavar="X", help="of time (default: 1)")
    live.add_argument("--loop", action="store_true", help="begin again at the end")
    live.add_argument("--paused", action="store_true", help="begin paused")
    live.add_argument(
        "--topics", nargs="+", default=[], metavar="PATTERN", help="only these, commands too if they match"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    if args.compare:
        return _compare(args)
    if args.bag is None:
        raise ConfigurationError("which bag? mbrl replay BAG")
    if args.live:
        return _live(args)
    from ..replay import report

    replay = _replay(args, args.bag, {})
    verdict = _gate(args, replay) or report.verdict(replay, repeats=_repeats(args, replay))
    page = report.write(replay, args.output, args.table, verdict) if args.output else None
    print(report.text(replay))
    if page:
        print(f"\nreport: {page}")
    print(verdict.line())
    return verdict.code


def _repeats(args: argparse.Namespace, replay) -> bool:
    """Whether the commands must be those recorded: all of it was recorded by this package's node, and nothing was changed."""
    setup = replay.setup
    return (
        setup.plan
        and setup.feeding == "answers"
        and bool(setup.session)
        and setup.numbered
        and args.begin <= 0.0
        and not (args.changes or args.robot or args.config)
    )


def _live(args: argparse.Namespace) -> int:
    import sys

    from ..nodes import replay_node

    parameters = {
        "bag": json.dumps(str(args.bag)),
        "rate": float(args.rate),
        "begin": float(args.begin),
        "loop": json.dumps(args.loop),
        "paused": json.dumps(args.paused),
        "keys": json.dumps(sys.stdin.isatty()),
    }
    if args.end != float("inf"):
        parameters["end"] = float(args.end)
    if args.topics:
        parameters["topics"] = json.dumps(args.topics)
    return replay_node.main(
        ["--ros-args", *(word for name, value in parameters.items() for word in ("-p", f"{name}:={value}"))]
    )


def _gate(args: argparse.Namespace, replay):
    """Verdict of --check, None without it."""
    from ..replay.golden import TOLERANCE, Golden, differences

    if args.save_golden:
        Golden.of(replay).save(args.save_golden)
        print(f"golden replay: {args.save_golden}")
    if not args.check:
        return None
    lines = differences(
        Golden.of(replay), Golden.load(args.check), TOLERANCE if args.tolerance is None else args.tolerance
    )
    print("\n".join([f"differs from {args.check}:", *lines]) if lines else f"agrees with {args.check}")
    return of_differences(lines, args.check)


def _compare(args: argparse.Namespace) -> int:
    from ..replay import compare

    a, b = (_side(args, text) for text in args.compare)
    result = compare.comparison(a, b)
    verdict = of_sides(result)
    result["verdict"] = verdict.to_json()
    print(compare.text(result))
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "comparison.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"\npicture: {compare.draw(a, b, args.output / 'comparison.png')}")
    print(verdict.line())
    return verdict.code


def _side(args: argparse.Namespace, text: str):
    from ..replay.compare import Side

    path = Path(text)
    if text != "." and (path / "summary.json").is_file():
        return Side.load(path)
    if text != "." and path.exists():
        return Side.of(text, _replay(args, path, {}))
    if args.bag is None:
        raise ConfigurationError(
            f"'{text}' is neither an output folder nor a bag; settings need a bag: mbrl replay BAG --compare A B",
            value=text,
        )
    changes = {} if text == "." else assignments(text.split(","))
    return Side.of("as recorded" if text == "." else text, _replay(args, args.bag, changes))


def _replay(args: argparse.Namespace, bag: Path, changes: dict[str, Any]):
    from ..replay import Mapped, ReplayOptions, replay

    settings = {**({"robot.description": args.robot} if args.robot else {}), **assignments(args.changes), **changes}
    options = ReplayOptions(
        bag,
        args.config,
        settings,
        Mapped.of(args.topic, args.joint, args.map),
        args.begin,
        args.end,
        not args.no_plan,
        args.stamps,
    )
    from ..console.progress import Progress

    with Progress(bag.name, unit="s of the bag", quiet=args.quiet) as shown:
        return replay(options, lambda seconds: shown.show("replaying", seconds))


def assignments(entries: list[str]) -> dict[str, Any]:
    """{key: value} of KEY=VALUE entries; values are YAML."""
    import yaml

    values = {}
    for entry in entries:
        key, equal, text = entry.partition("=")
        if not equal:
            raise ConfigurationError(f"'{entry}' must be KEY=VALUE", key=key, value=entry)
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"'{entry}': {error}", key=key, value=text) from None
    return values
