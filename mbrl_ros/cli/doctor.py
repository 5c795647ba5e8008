"""`mbrl doctor`: check whether the data of a robot are good enough for control."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ._numbers import POSITIVE
from ._settings import add_node_argument

HELP = "check a live graph or a bag for rate, jitter, joints, units, stamps and delay, and say what to fix"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from . import _checkups

    parser.add_argument(
        "bag", nargs="?", type=Path, metavar="BAG", help="rosbag2 folder, .db3 or .mcap (default: the live graph)"
    )
    parser.add_argument(
        "--config",
        default="",
        metavar="NAME|FILE",
        help="settings to check against: a name from config/ or a YAML file (default: the settings' defaults)",
    )
    parser.add_argument(
        "--robot", default="", metavar="URDF", help="URDF file or 'package-data:NAME', for joints and limits"
    )
    parser.add_argument(
        "--seconds",
        type=POSITIVE,
        default=5.0,
        metavar="S",
        help="seconds to record from the live graph, from its first message on (default: 5)",
    )
    add_node_argument(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings to FILE")
    _checkups.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..config import registry
    from ..console.verdict import of_checkup
    from ..replay.checkup import facts
    from ..replay.finding import Level, text, warning
    from ..replay.findings import findings
    from . import _checkups

    joints = _joints(args)
    checkup, notes = (
        _checkups.of_bag(args, args.bag, joints) if args.bag else _checkups.of_graph(args, args.seconds, joints)
    )
    configuration, robot = _expected(args, checkup)
    found = [
        *(warning(problem, "mend or uninstall that package") for problem in registry.problems()),
        *(warning(note, "record it again, or use what is left") for note in notes),
        *findings(checkup, configuration, robot),
    ]
    print(text(found))
    if args.json:
        args.json.write_text(
            json.dumps(
                {
                    **facts(checkup),
                    "findings": [{"level": f.level.value, "what": f.what, "advice": f.advice} for f in found],
                },
                indent=2,
            )
            + "\n",
            encoding="utf-8",
        )
    verdict = of_checkup([f.what for f in found if f.level is Level.ERROR])
    print(verdict.line())
    return verdict.code


def _joints(args: argparse.Namespace) -> list[str]:
    """Return the joints that --config or --robot name; empty: none does."""
    from ..config.resources import settings_path
    from ..config.settings_file import read_settings
    from ..robots.sources import read
    from ..robots.urdf import parse

    joints = read_settings(settings_path(args.config), node=args.node).get("robot.joints", ()) if args.config else ()
    if not joints and args.robot:
        joints = [joint.name for joint in parse(read(args.robot)).joints if joint.movable]
    return list(joints)


def _expected(args: argparse.Namespace, checkup):
    """Return the configuration and the robot (or None) that the data are compared with."""
    from ..config.configuration import Configuration, setting_keys
    from ..config.resources import settings_path
    from ..config.settings_file import read_settings
    from ..exceptions import MbrlError
    from ..robots import load_robot

    values = read_settings(settings_path(args.config), node=args.node) if args.config else {}
    if args.robot:
        values["robot.description"] = args.robot
    urdf = values.get("robot_description") or (None if values.get("robot.description") else checkup.description or None)
    known = setting_keys()
    configuration = Configuration.from_flat(
        {key: value for key, value in values.items() if key in known}, source=args.config
    )
    section = configuration.robot
    if not section.description and not urdf:
        return configuration, None
    if not section.joints:
        try:
            joints = load_robot(section, urdf).joints
        except MbrlError:  # a joint that does not matter may lack a limit
            joints = checkup.joints
        section = section.replace(joints=tuple(joint for joint in joints if joint in checkup.joints) or joints)
    return configuration, load_robot(section, urdf)
