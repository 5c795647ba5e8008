"""`mbrl replay`: feed what was recorded on a robot to the same controller again."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from ..console.verdict import of_differences, of_sides
from ..exceptions import ConfigurationError
from ._numbers import POSITIVE, real
from ._settings import add_node_argument, assignments

HELP = "replay a bag with the same message conversion and controller as in the nodes, offline and deterministic"
EPILOGUE = """examples:
  mbrl replay run1 --output out                     write report, summary and a table of all ticks
  mbrl replay run1 --set planner.horizon=50         with another setting
  mbrl replay run1 --compare . planner.horizon=15   compare the recorded settings with others
  mbrl replay run1 --save-golden run1.npz           for a later mbrl replay run1 --check run1.npz
  mbrl replay foreign.db3 --config panda --joint 'fer_joint{}=panda_joint{}'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog, parser.formatter_class = EPILOGUE, argparse.RawDescriptionHelpFormatter
    _add_inputs(parser)
    _add_outputs(parser)
    _add_live(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", nargs="?", type=Path, metavar="BAG", help="rosbag2 folder, .db3 or .mcap")
    parser.add_argument(
        "--config",
        metavar="NAME|FILE",
        help="a name from config/ or a YAML file "
        "(default: the recorded parameters, else the configuration with the joints of the bag)",
    )
    add_node_argument(parser)
    parser.add_argument(
        "--robot",
        default="",
        metavar="URDF",
        help="URDF file or 'package-data:NAME', the same as --set robot.description=URDF",
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
        "--from",
        type=real(0.0),
        default=0.0,
        metavar="S",
        dest="begin",
        help="begin at S seconds after the first message of the bag",
    )
    parser.add_argument(
        "--to", type=real(0.0, infinite=True), default=math.inf, metavar="S", dest="end", help="end at S seconds"
    )
    parser.add_argument("--no-plan", action="store_true", help="only learn and predict; compute no commands")
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="ROLE=TOPIC",
        help="use TOPIC in the role states, commands, "
        "features, features_vector, target_joints, target_point, target_pose, target_trajectory, target_goal, "
        "target_features, target_twist, target_velocities or target_jog; an empty TOPIC leaves the role out",
    )
    parser.add_argument(
        "--joint",
        action="append",
        default=[],
        metavar="BAG=ROBOT",
        help="name of a joint in the bag and in the robot, for instance 'fer_joint{}=panda_joint{}'",
    )
    parser.add_argument("--map", type=Path, metavar="FILE", help="YAML with the mappings 'topics' and 'joints'")
    parser.add_argument(
        "--stamps",
        choices=("header", "bag"),
        default="header",
        help="stamps of the joint states: of their headers, or of the bag where the headers are empty",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.html, summary.json and the table of ticks to DIR"
    )
    parser.add_argument(
        "--table", choices=("csv", "parquet", "none"), default="csv", help="format of the table (default: csv)"
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="compare two replays; each is an output folder of an earlier replay, another "
        "bag, or settings KEY=VALUE[,KEY=VALUE...] for BAG ('.': as recorded)",
    )
    parser.add_argument(
        "--save-golden", type=Path, metavar="FILE", help="write this replay to FILE, for checking later ones"
    )
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="compare with a replay of --save-golden; exit code 1 if they differ"
    )
    parser.add_argument(
        "--tolerance",
        type=real(0.0),
        metavar="X",
        help="tolerance of --check, as a fraction of each command's range (default: 1e-3)",
    )


def _add_live(parser: argparse.ArgumentParser) -> None:
    live = parser.add_argument_group("live, over DDS")
    live.add_argument(
        "--live",
        action="store_true",
        help="publish the bag in its own time, with /clock, but not the topics that command "
        "a robot; Enter pauses; only --from, --to and these options apply",
    )
    live.add_argument("--rate", type=POSITIVE, default=1.0, metavar="X", help="speed of the playback (default: 1)")
    live.add_argument("--loop", action="store_true", help="begin again at the end of the bag")
    live.add_argument("--paused", action="store_true", help="begin paused")
    live.add_argument(
        "--topics",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="play only these topics, also those that command a robot",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if args.config == "":
        raise ConfigurationError("--config is empty; leave it out for the recorded parameters", key="config")
    if args.compare:
        return _compare(args)
    if args.bag is None:
        raise ConfigurationError("which bag? mbrl replay BAG")
    if args.live:
        return _live(args)
    from ..replay import report

    replay = _replay(args, args.bag, {})
    verdict = _check(args, replay) or report.verdict(replay, repeats=_repeats(args, replay))
    page = report.write(replay, args.output, args.table, verdict) if args.output else None
    print(report.text(replay))
    if page:
        print(f"\nreport: {page}")
    print(verdict.line())
    return verdict.code


def _repeats(args: argparse.Namespace, replay) -> bool:
    """Return whether the commands must be those recorded: mpc_node recorded everything, and nothing was changed."""
    setup = replay.setup
    return (
        setup.plan
        and setup.command_source == "answers"
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
    if args.end != math.inf:
        parameters["end"] = float(args.end)
    if args.topics:
        parameters["topics"] = json.dumps(args.topics)
    return replay_node.main(
        ["--ros-args", *(word for name, value in parameters.items() for word in ("-p", f"{name}:={value}"))]
    )


def _check(args: argparse.Namespace, replay):
    """Return the verdict of --check; None without it."""
    from ..replay.golden import COMMAND_TOLERANCE, Golden, differences

    if args.save_golden:
        Golden.of(replay).save(args.save_golden)
        print(f"golden replay: {args.save_golden}")
    if not args.check:
        return None
    lines = differences(
        Golden.of(replay), Golden.load(args.check), COMMAND_TOLERANCE if args.tolerance is None else args.tolerance
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
        args.config or "",
        settings,
        Mapped.of(args.topic, args.joint, args.map),
        args.begin,
        args.end,
        not args.no_plan,
        args.stamps,
        args.node,
    )
    from ..console.progress import Progress

    with Progress(bag.name, unit="s of the bag", quiet=args.quiet) as shown:
        return replay(options, lambda seconds: shown.show("replaying", seconds))
