"""`mbrl bench robots`: arms that nobody tuned for, under conditions that a start from nothing may meet."""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _report
from ._bench import known, one_thread, writable
from ._numbers import COUNT, SEED_NUMBER, whole
from ._settings import assignments

if TYPE_CHECKING:
    from ..console.verdict import Verdict

HELP = "start many arms from nothing under many conditions, with this controller and with others"
COMMANDED = ("effort", "velocity", "position")
SEEDS, DRAWN = 3, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="by name (default: all whose URDF is there)")
    parser.add_argument(
        "--interfaces", nargs="+", choices=COMMANDED, default=("effort",), help="what a command is (default: effort)"
    )
    parser.add_argument("--conditions", nargs="+", metavar="NAME", help="by name (default: all)")
    parser.add_argument("--controllers", nargs="+", metavar="NAME", help="by name (default: all)")
    parser.add_argument(
        "--seeds", nargs="+", type=SEED_NUMBER, metavar="SEED", help="of postures and targets (default: three new ones)"
    )
    parser.add_argument("--targets", type=COUNT, default=2, metavar="N", help="per run (default: %(default)d)")
    parser.add_argument(
        "--drawn",
        type=whole(0),
        metavar="N",
        help="arms, drawn by seed, for each condition but the nominal; 0: all (default: 3, 0 where --arms names some)",
    )
    parser.add_argument("--jobs", type=COUNT, default=1, metavar="N", help="processes (default: %(default)d)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="all arms, efforts, seven conditions and one seed where nothing else is said",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write {arm: {interface: {condition: {controller: {seed: numbers}}}}} to FILE",
    )
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="keep every run in DIR, and leave out those that are there already"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the heat map to FILE, a PNG")
    _report.add_argument(parser)
    parser.add_argument("--urdf", nargs="+", default=[], metavar="ARM=FILE", help="URDF files of arms")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the controller `mpc`")
    parser.add_argument("--list", action="store_true", help="list arms, conditions and controllers, and end")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    one_thread()  # also of the processes that it starts
    from ..bench.robots import campaign, judgement, report
    from ..console.progress import Progress
    from ..exceptions import ConfigurationError

    if args.list:
        print(_listed())
        return 0
    choice = _choice(args)
    writable(json=args.json, plot=args.plot)
    _report.check(args.report)
    chosen = campaign.tasks(choice)
    if not chosen:
        raise ConfigurationError("nothing to run: of the controllers only mpc commands anything but efforts")
    if args.resume:
        campaign.check_folder(args.resume, chosen, seeds_given=bool(args.seeds))
    print(f"seeds {' '.join(map(str, choice.seeds))}; {len(chosen)} runs on {len(choice.arms)} arms", flush=True)
    with Progress("robots", len(chosen), "runs", quiet=args.quiet) as shown:
        results = campaign.run_all(chosen, args.jobs, args.resume, shown)
    print(f"{report.table(results)}\n\n{report.summary(results)}\n")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
        print(f"wrote {args.json}")
    if args.plot:
        from ..bench.robots.heat_map import draw

        draw(results, args.plot)
        print(f"wrote {args.plot}")
    wrong = judgement.shortcomings(results)
    for line in wrong:
        print(f"- {line}")
    verdict = judgement.verdict(wrong, choice.controllers)
    if args.report:
        _write_report(args, choice.seeds, results, wrong, verdict)
    print(verdict.line())
    return verdict.code


def _write_report(
    args: argparse.Namespace, seeds: tuple[int, ...], results: Any, wrong: list[str], judged: Verdict
) -> None:
    from ..bench.robots import report
    from ..bench.robots.heat_map import draw

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "robots.png")
        draw(results, picture)
        _report.write(
            args.report,
            judged,
            "Bench of robots",
            f"Arms started from nothing, {args.targets} targets a run, seeds {' '.join(map(str, seeds))}.",
            "\n\n".join([report.summary(results), *(f"- {line}" for line in wrong), report.table(results)]),
            pictures={"worst rest error": picture},
            meanings=report.ROBOT_MEANINGS,
        )


def _choice(args: argparse.Namespace) -> Any:
    """Return what the options ask for; ConfigurationError names what there is none of."""
    from ..bench.robots.arms import ARMS
    from ..bench.robots.campaign import Choice
    from ..bench.robots.conditions import CONDITIONS, QUICK_CONDITIONS
    from ..bench.robots.controllers import CONTROLLERS
    from ..config.configuration import Configuration
    from ..exceptions import ConfigurationError

    descriptions = _files(args.urdf)
    known("arm", descriptions, ARMS)
    there = [name for name, arm in ARMS.items() if arm.description or name in descriptions]
    arms = known("arm", args.arms or there, ARMS)
    if lacking := [name for name in arms if name not in there]:
        raise ConfigurationError(
            f"no installed package has the URDF of {lacking[0]}: give it with --urdf {lacking[0]}=FILE",
            value=lacking[0],
        )
    overrides = assignments(args.set)
    Configuration.from_flat(overrides)  # an unknown setting is refused before anything runs
    drawn = 0 if args.arms or args.quick else DRAWN
    return Choice(
        arms=arms,
        interfaces=tuple(dict.fromkeys(args.interfaces)),
        conditions=known("condition", args.conditions or (QUICK_CONDITIONS if args.quick else CONDITIONS), CONDITIONS),
        controllers=known("controller", args.controllers or CONTROLLERS, CONTROLLERS),
        seeds=tuple(args.seeds or (secrets.randbelow(1_000_000) for _ in range(1 if args.quick else SEEDS))),
        targets=args.targets,
        drawn=drawn if args.drawn is None else args.drawn,
        descriptions=descriptions,
        overrides=overrides,
    )


def _files(entries: list[str]) -> dict[str, str]:
    """Return {arm: file} of --urdf; a file that cannot be read is refused."""
    from ..exceptions import ConfigurationError
    from ..robots import sources

    files = {}
    for entry in entries:
        arm, equal, file = entry.partition("=")
        if not equal:
            raise ConfigurationError(f"'{entry}' is not as in --urdf ARM=FILE", value=entry)
        sources.read(file)
        files[arm] = file
    return files


def _listed() -> str:
    """Return every name with its meaning."""
    from ..bench.robots.arms import ARMS
    from ..bench.robots.conditions import CONDITIONS
    from ..bench.robots.controllers import CONTROLLERS

    return "\n".join(
        [
            "arms:",
            *(f"  {name:12s} {arm.description or 'give its URDF with --urdf'}" for name, arm in ARMS.items()),
            "conditions:",
            *(f"  {name:12s} {condition.meaning}" for name, condition in CONDITIONS.items()),
            f"controllers: {', '.join(CONTROLLERS)}",
        ]
    )
