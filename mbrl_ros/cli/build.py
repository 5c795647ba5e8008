"""`mbrl build`: compile what mpc_node needs before it starts, here or for a robot without CasADi and compiler."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from ._settings import add_node_argument, assignments

HELP = "compile the functions of a robot and its settings ahead, or write them for a robot without CasADi or compiler"
BUILD_EXAMPLES = """
mbrl build panda                                    # the next start compiles nothing
mbrl build my_arm.yaml --output my_arm.units        # and on the robot: robot.units: my_arm.units
mbrl build my_arm.yaml --output my_arm.units --for x86-64-v2
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ..codegen.processor import COMMON, MICROARCHITECTURES, NATIVE

    parser.epilog, parser.formatter_class = BUILD_EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("robot", metavar="NAME|FILE", help="a name from config/ or a YAML file")
    add_node_argument(parser)
    parser.add_argument(
        "--urdf", default="", metavar="FILE", help="robot description, where the settings leave it to a topic"
    )
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change settings")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write all of it to a file, for the setting robot.units (default: this user's cache)",
    )
    parser.add_argument(
        "--for",
        dest="instruction_set",
        choices=(*MICROARCHITECTURES, NATIVE, "sources"),
        default=COMMON.get(platform.machine(), NATIVE),
        help="instruction set of the libraries in the file; native: this processor's; sources: no libraries, the "
        "robot's compiler makes them (default: x86-64-v3 on x86-64, armv8-a on ARM)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..codegen.compiler import fallbacks
    from ..config.resources import settings_path
    from ..config.settings_file import load_configuration
    from ..console.progress import Progress
    from ..console.verdict import Verdict
    from ..robots import load_robot
    from ..runtime.prepared import compile_here, write_units

    changed = {**assignments(args.set), "robot.units": ""}
    configuration = load_configuration(settings_path(args.robot), changed, args.node)
    robot = load_robot(configuration.robot, args.urdf or None)
    before = len(fallbacks())
    with Progress("building", unit="libraries", every=2.0) as progress:
        progress.show(f"the controller of {robot.n} joints")
        if args.output is None:
            compile_here(robot, configuration)
        else:
            target = "" if args.instruction_set == "sources" else args.instruction_set
            count = write_units(
                robot,
                configuration,
                args.output,
                target,
                lambda done, total: progress.show(f"{done} of {total} libraries"),
            )
    if args.output is not None:
        print(f"wrote {args.output}: {count} functions, {args.output.stat().st_size / 1e6:.1f} MB")
    missing = "; ".join(fallbacks()[before:])
    verdict = Verdict(not missing, f"not everything compiles: {missing}" if missing else "")
    print(verdict.line())
    return verdict.code
