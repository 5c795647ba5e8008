"""`mbrl config validate`: everything that is wrong in files of settings, before a node is started with them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..console.verdict import Verdict

HELP = "find everything that is wrong in files of settings, each with file and line, and in the robot they name"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="NAME|FILE",
        help="names from config/ or YAML files, used together in this order",
    )
    parser.add_argument("--no-robot", action="store_true", help="do not read the URDF that the files name")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..config.origins import problems
    from ..config.resources import settings_path
    from ..console.verdict import of_settings

    files = [settings_path(name) for name in args.files]
    found = problems(files)
    if not found and not args.no_robot:
        found = _of_robots(files)
    for problem in found:
        print(problem)
    verdict: Verdict = of_settings(found)
    print(verdict.line())
    return verdict.code


def _of_robots(files: list[Path]) -> list[str]:
    """Return what is wrong with the robot of each mpc_node; a robot that no file describes is not looked at."""
    from ..config.parameter_file import ParameterFile
    from ..config.section import is_empty
    from ..config.sections.robot import RobotSettings
    from ..config.settings_file import located
    from ..exceptions import ConfigurationError, DataError, JointNameError, MbrlError
    from ..robots import load_robot

    read, found = [ParameterFile.read(path) for path in files], []
    for kind, node in dict.fromkeys(entry for file in read for entry in file.nodes()):
        given = {key: entry.value for file in read for key, entry in file.entries(node).items()}
        values = {
            key.removeprefix("robot."): value
            for key, value in given.items()
            if key.startswith("robot.") and not is_empty(value)
        }
        urdf = str(given.get("robot_description") or "") or None
        if kind not in ("mpc_node", "sim_node") or not (values.get("description") or urdf):
            continue
        try:
            load_robot(RobotSettings.from_mapping(values, prefix="robot."), urdf)
        except ConfigurationError as error:
            found.append(located(error, [str(path) for path in files]))
        except MbrlError as error:
            keys = {JointNameError: "robot.joints", DataError: "robot.units"}
            key = keys.get(type(error), "robot.description")
            lines = [f"{file.source}:{entry.line}: " for file in read for entry in file.find(key)]
            found.append(f"{lines[-1] if lines else ''}{error}")
    return list(dict.fromkeys(found))
