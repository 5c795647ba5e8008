"""`mbrl demo`: a robot learns to move, on real messages, while you watch.

Exit codes: 0 PASS, 1 FAIL, 2 wrong options; 129, 130, 143 ended by SIGHUP, SIGINT, SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.resources import settings_path
from ..exceptions import ConfigurationError
from . import _film
from ._numbers import COUNT, POSITIVE, SEED_NUMBER, real
from ._settings import add_node_argument, assignments

if TYPE_CHECKING:
    from ..view.filming import FilmOptions

HELP = (
    "watch a torque-controlled arm learn to move without a model of gravity, friction or load, on real nodes over DDS"
)

SCENES = 3  # of --scenario pick
INTERFACE_CHOICES = ("effort", "velocity", "position")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    _add_scenario(parser)
    _film.add_arguments(parser)
    parser.add_argument("--seed", type=SEED_NUMBER, default=0, help="of targets, noise and exploration (default: 0)")
    parser.add_argument(
        "--duration", type=POSITIVE, metavar="S", help="simulated seconds (default: the whole scenario)"
    )
    parser.add_argument("--rate", type=POSITIVE, metavar="HZ", help="control rate (default: the robot's configuration)")
    parser.add_argument(
        "--payload",
        type=real(0.0),
        metavar="KG",
        help="mass added to the hand during the run (default: in proportion to the arm; 1.5 for the Panda)",
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--lockstep",
        action="store_true",
        help="run as fast as possible. As in the default mode every state waits for its command, so that the result "
        "depends on the seed and not on the machine; the default mode also never runs faster than real time",
    )
    pace.add_argument(
        "--realtime",
        action="store_true",
        help="run in real time: nothing waits for a late command; the run ends when the arm is lost",
    )
    parser.add_argument("--headless", action="store_true", help="as --no-view, and draw no picture of the robot")
    parser.add_argument("--no-view", action="store_true", help="show no page in the browser (nor where CI is set)")
    parser.add_argument("--robot", default="panda", help="a name from config/ or a YAML file (default: panda)")
    parser.add_argument("--interface", choices=INTERFACE_CHOICES, help="what a command is (default: as --robot says)")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="run the same scenario in lockstep with other estimators, other models and a PID controller, too",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="new or empty folder for report.html, summary.json and the pictures (default: a new one in output/demo; "
        "output/demo/latest points to the newest)",
    )
    parser.add_argument(
        "--domain",
        type=_domain,
        metavar="ID",
        help="DDS domain, for watching the run with other tools (default: one that is not in use on this machine; "
        "ROS_DOMAIN_ID is ignored)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting; may be repeated"
    )
    add_node_argument(parser)


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario",
        choices=("learn", "poses", "pick", "jog", "visual", "distill"),
        default="learn",
        help="learn: the nodes learn to move the robot from nothing, by points; poses: the same by poses of the tool; "
        "pick: from pose to pose around a table, a wall and a box, in scenes of their own; jog: by streams of "
        "velocities of the tool and of the joints; visual: a marker to a place in rendered images of a camera that "
        "nobody calibrated, which is bumped; distill: three minutes of planned commands become a policy that "
        "acts alone (in this process, in lockstep; uses only --seed, --duration, --targets and --output)",
    )
    parser.add_argument(
        "--targets",
        type=COUNT,
        metavar="N",
        help="of --scenario distill: how many targets that it has not seen the policy is tried on; half as many with "
        "the payload, and half as many events (default: 100)",
    )
    parser.add_argument(
        "--scenes",
        type=COUNT,
        metavar="N",
        help=f"of --scenario pick: how many, from the seed on, each with nodes of its own (default: {SCENES})",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..demo import folder

    folder.checked(args.output)
    if args.compare and args.scenario in ("poses", "pick", "jog", "visual"):
        raise ConfigurationError(f"--compare compares by points: leave out --scenario {args.scenario}", key="compare")
    if args.scenes is not None and args.scenario != "pick":
        raise ConfigurationError("--scenes counts those of --scenario pick", key="scenes")
    if args.targets is not None and args.scenario != "distill":
        raise ConfigurationError("--targets counts those of --scenario distill", key="targets")
    if args.duration is not None and args.scenario in ("pick", "jog"):
        raise ConfigurationError(f"--scenario {args.scenario} has its own: leave out --duration", key="duration")
    if args.payload is not None and args.scenario == "jog":
        raise ConfigurationError("there is no payload in --scenario jog: leave out --payload", key="payload")
    if args.compare and args.realtime:
        raise ConfigurationError("--compare runs in lockstep: leave out --realtime", key="compare")
    video = _film.options(args)
    if args.scenario == "distill":
        return _distill(args)
    from ..demo.run import Options, Run

    options = Options(
        config=settings_path(args.robot),
        node=args.node,
        seed=args.seed,
        duration=args.duration,
        rate=args.rate,
        payload_kg=args.payload,
        lockstep=not args.realtime,
        pace=not (args.lockstep or args.compare),
        domain=args.domain,
        settings=_settings(args),
        scenario=args.scenario,
    )
    Run(options)  # raises an error for wrong options before anything is written
    output = folder.made(args.output, args.seed)
    if args.scenario == "pick":
        return _pick(args, options, output)
    return _compare(options, output) if args.compare else _learn(args, options, output, video)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the options change; an error where nothing says what a command is."""
    from ..config.settings_file import read_settings

    changes = assignments(args.set)
    if args.interface:
        changes["robot.interface"] = args.interface
    path = settings_path(args.robot)
    if "robot.interface" not in {**read_settings(path, node=args.node), **changes}:
        raise ConfigurationError(
            "robot.interface is not given: write it into the file, or use --interface effort|velocity|position",
            key="robot.interface",
            source=str(path),
        )
    return changes


def _learn(args: argparse.Namespace, options, output: Path, video: FilmOptions | None) -> int:
    from ..console.verdict import Verdict
    from ..demo import present, summary_text

    summary = present.run(options, output, label="demo", picture=not args.headless, view=_viewed(args), video=video)
    print(summary_text.text(summary))
    verdict = Verdict.of(summary["verdict"])
    if verdict.passed:
        then = " --compare" if options.mode == "real time" else " --realtime"
    else:
        then = "" if options.mode == "real time" else f" --seed {options.seed + 1}"
    robot = "" if args.robot == "panda" else f" --robot {shlex.quote(args.robot)}"
    robot += "" if args.scenario == "learn" else f" --scenario {args.scenario}"
    robot += f" --interface {args.interface}" if args.interface else ""
    films = {"film": video.file} if video is not None and video.file.exists() else {}
    return _judged(verdict, report=output / "report.html", **films, next=f"{typed()} demo{robot}{then}")


def _viewed(args: argparse.Namespace) -> bool:
    """Return whether the run is shown in the browser."""
    return not (args.headless or args.no_view or os.environ.get("CI"))


def _pick(args: argparse.Namespace, options, output: Path) -> int:
    from ..console.verdict import Verdict
    from ..demo import pick

    scenes = args.scenes or SCENES
    summary = pick.run(options, output, scenes, picture=not args.headless, view=_viewed(args))
    print(pick.text(summary))
    robot = "" if args.robot == "panda" else f" --robot {shlex.quote(args.robot)}"
    then = f"{typed()} demo{robot} --scenario pick --seed {options.seed + scenes}"
    return _judged(Verdict.of(summary["verdict"]), report=output / "report.html", next=then)


def _compare(options, output: Path) -> int:
    from ..demo import present, summary_text
    from ..demo.run import COMPARED_VARIANTS
    from ..demo.verdict import of_comparison

    summaries = {}
    for label, settings in COMPARED_VARIANTS.items():
        variant = replace(options, settings={**options.settings, **settings}, images=False)
        folder = output / label.replace(" ", "-").replace(",", "").replace("%", "percent")
        summaries[label] = present.run(variant, folder, label=label, picture=False)
    table, verdict = summary_text.comparison(summaries), of_comparison(summaries)
    (output / "comparison.txt").write_text(f"{verdict.line()}\n\n{table}\n", encoding="utf-8")
    (output / "comparison.json").write_text(
        json.dumps({**summaries, "verdict": verdict.to_json()}, indent=2) + "\n", encoding="utf-8"
    )
    print(table)
    return _judged(verdict, report=output / "comparison.txt", next=f"{typed()} demo --scenario distill")


def _distill(args: argparse.Namespace) -> int:
    from ..console.progress import Progress
    from ..demo import distill, distill_report, folder
    from ..demo.verdict import of_distillation

    seconds = distill.TEACHING if args.duration is None else args.duration
    output = folder.made(args.output, args.seed)
    file = output / "distilled.policy"
    with Progress("distill") as shown:
        summary, policy, traces = distill.run(
            args.seed,
            seconds=seconds,
            targets=args.targets or distill.UNSEEN_TARGETS,
            shown=shown,
            keep=lambda policy: policy.save(file),
        )
        shown.show("writing the report")
        page = distill_report.write(output, summary, traces)
    print(distill.text(summary))
    return _judged(
        of_distillation(summary),
        policy=file,
        numbers=output / "summary.json",
        report=page,
        next=f"{typed()} policy evaluate {file}",
    )


def _judged(verdict, **lines: object) -> int:
    """Print the files, the next command to type and, last, the verdict; return the exit code."""
    print("\n" + "\n".join(f"{what}: {line}" for what, line in lines.items()))
    print(verdict.line())
    return verdict.code


def typed() -> str:
    """Return how this command must be typed here."""
    program = Path(sys.argv[0])
    if program.name != "mbrl" or (found := shutil.which("mbrl")) and Path(found).resolve() == program.resolve():
        return "mbrl"
    return os.path.relpath(program) if program.resolve().is_relative_to(Path.cwd()) else str(program)


def _domain(text: str) -> int:
    """Parse a DDS domain whose ports exist (RTPS 9.6.1.1)."""
    if not text.isdecimal() or int(text) > 232:
        raise argparse.ArgumentTypeError(f"a DDS domain is a number from 0 to 232, got '{text}'")
    return int(text)
