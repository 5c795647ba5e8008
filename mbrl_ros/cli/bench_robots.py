"""`mbrl bench robots`: arms that nobody tuned for, under conditions that a start from nothing may meet."""

from __future__ import annotations

import argparse
import json
import os
import secrets
from pathlib import Path
from typing import Any

import yaml

HELP = "start many arms from nothing under many conditions, with this controller and with others"
COMMANDED = ("effort", "velocity", "position")
SEEDS, DRAWN = 3, 3
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="by name (default: all whose URDF is there)")
    parser.add_argument(
        "--interfaces", nargs="+", choices=COMMANDED, default=("effort",), help="what a command is (default: effort)"
    )
    parser.add_argument("--conditions", nargs="+", metavar="NAME", help="by name (default: all)")
    parser.add_argument("--controllers", nargs="+", metavar="NAME", help="by name (default: all)")
    parser.add_argument(
        "--seeds", nargs="+", type=int, metavar="SEED", help="of postures and targets (default: three new ones)"
    )
    parser.add_argument("--targets", type=int, default=2, metavar="N", help="per run (default: %(default)d)")
    parser.add_argument(
        "--drawn",
        type=int,
        metavar="N",
        help="arms, drawn by seed, for each condition but the nominal; 0: all (default: 3, 0 where --arms names some)",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: %(default)d)")
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
    parser.add_argument("--urdf", nargs="+", default=[], metavar="ARM=FILE", help="URDF files of arms")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the controller `mpc`")
    parser.add_argument("--list", action="store_true", help="list arms, conditions and controllers, and end")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    for variable in THREADS:  # before numpy is there, and for the processes: the arrays are small
        os.environ.setdefault(variable, "1")
    from ..bench.robots import campaign, judgement, report
    from ..console.progress import Progress

    if args.list:
        print(_listed())
        return 0
    choice = _choice(args)
    chosen = campaign.tasks(choice)
    print(f"seeds {' '.join(map(str, choice.seeds))}; {len(chosen)} runs on {len(choice.arms)} arms", flush=True)
    with Progress("robots", len(chosen), "runs", quiet=args.quiet) as shown:
        results = campaign.run_all(chosen, args.jobs, args.resume, shown)
    print(report.table(results))
    print("\n" + report.summary(results) + "\n")
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
    verdict = judgement.verdict(wrong)
    print(verdict.line())
    return verdict.code


def _choice(args: argparse.Namespace) -> Any:
    """Return what the options ask for; ConfigurationError names what there is none of."""
    from ..bench.robots.arms import ARMS
    from ..bench.robots.campaign import Choice
    from ..bench.robots.conditions import CONDITIONS, QUICK_CONDITIONS
    from ..bench.robots.controllers import CONTROLLERS
    from ..exceptions import ConfigurationError

    descriptions = _pairs(args.urdf, "--urdf ARM=FILE")
    _known("arm", [*(args.arms or ()), *descriptions], ARMS)
    _known("condition", args.conditions or (), CONDITIONS)
    _known("controller", args.controllers or (), CONTROLLERS)
    for name, value, least in (("jobs", args.jobs, 1), ("targets", args.targets, 1), ("drawn", args.drawn or 0, 0)):
        if value < least:
            raise ConfigurationError(f"--{name} must be at least {least}, got {value}")
    there = [name for name, arm in ARMS.items() if arm.description or name in descriptions]
    drawn = 0 if args.arms or args.quick else DRAWN
    return Choice(
        arms=tuple(args.arms or there),
        interfaces=tuple(args.interfaces),
        conditions=tuple(args.conditions or (QUICK_CONDITIONS if args.quick else CONDITIONS)),
        controllers=tuple(args.controllers or CONTROLLERS),
        seeds=tuple(args.seeds or (secrets.randbelow(1_000_000) for _ in range(1 if args.quick else SEEDS))),
        targets=args.targets,
        drawn=drawn if args.drawn is None else args.drawn,
        descriptions=descriptions,
        overrides={key: yaml.safe_load(value) for key, value in _pairs(args.set, "--set KEY=VALUE").items()},
    )


def _known(what: str, names: Any, known: Any) -> None:
    from ..exceptions import ConfigurationError, nearest

    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"no {what} '{name}'; did you mean '{nearest(name, list(known))}'? There are: {', '.join(known)}",
                value=name,
            )


def _pairs(entries: list[str], usage: str) -> dict[str, str]:
    from ..exceptions import ConfigurationError

    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise ConfigurationError(f"'{wrong[0]}' is not as in {usage}", value=wrong[0])
    return dict(entry.split("=", 1) for entry in entries)


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
