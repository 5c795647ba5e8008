"""`mbrl init`: write a configuration to start with, from a bag or a URDF."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..exceptions import ConfigurationError, DataError

HELP = "write a configuration to start with for a robot, from a bag of it, its URDF, or both"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from . import _checkups

    parser.add_argument(
        "--bag", type=Path, metavar="BAG", help="rosbag2 folder, .db3 or .mcap: for joints, rate, interface and delay"
    )
    parser.add_argument("--urdf", default="", metavar="FILE", help="URDF file or 'package-data:NAME': for limits")
    parser.add_argument(
        "--interface",
        choices=("effort", "velocity", "position"),
        default="",
        help="what a command is (default: as the commands of the bag show; otherwise left open)",
    )
    parser.add_argument(
        "--tip",
        default="",
        metavar="LINK",
        help="link at which the arm ends, where the URDF holds several arms (default: the flange of the longest arm)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("robot.yaml"),
        metavar="FILE",
        help="file to write (default: robot.yaml)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file if it exists")
    _checkups.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..replay.initial import check, initial
    from ..robots.sources import naming
    from . import _checkups

    if not args.bag and not args.urdf:
        raise ConfigurationError("which robot? Give --bag BAG, --urdf FILE, or both")
    if args.output.exists() and not args.force:
        raise DataError(f"{args.output} exists already; choose another file with -o, or --force")
    if not args.output.parent.is_dir():
        raise DataError(f"there is no folder {args.output.parent}; make it, or choose another file with -o")
    with naming(args.urdf):
        joints = _joints(args.urdf, args.tip)
    checkup, notes = _checkups.of_bag(args, args.bag, joints) if args.bag else (None, [])
    description = _absolute(args.urdf)
    if checkup is not None and checkup.description and not description:
        beside = args.output.with_suffix(".urdf")
        beside.write_text(checkup.description, encoding="utf-8")
        description = str(beside.resolve())
        print(f"wrote {beside}, the bag's robot_description")
    with naming(args.urdf or description):
        made = initial(checkup, description, interface=args.interface, tip=args.tip)
    check(made.yaml)
    args.output.write_text(made.yaml, encoding="utf-8")
    print(f"wrote {args.output}")
    for note in [*notes, *made.notes]:
        print(f"  {note}")
    print(f"next: mbrl doctor {f'{args.bag} ' if args.bag else ''}--config {args.output}")
    return 0


def _joints(urdf: str, tip: str) -> tuple[str, ...]:
    """Return the joints of the arm that a URDF describes, by which the bag's topic of states is chosen."""
    from ..robots.arm import arm_of
    from ..robots.sources import read
    from ..robots.urdf import parse

    return arm_of(parse(read(urdf)), tip).joints if urdf else ()


def _absolute(urdf: str) -> str:
    return str(Path(urdf).resolve()) if urdf and not urdf.startswith("package-data:") else urdf
