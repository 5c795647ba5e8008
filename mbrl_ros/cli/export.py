"""`mbrl export`: write a policy as self-contained C code, or as ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._numbers import POSITIVE
from ._settings import add_node_argument

HELP = "write a distilled policy as one self-contained C file, or as ONNX"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("policy", type=Path, help="a policy file")
    parser.add_argument("--robot", default="panda", help="a name from config/ or a YAML file (default: panda)")
    add_node_argument(parser)
    parser.add_argument(
        "--rate", type=POSITIVE, default=1000.0, metavar="HZ", help="rate at which the policy is called (default: 1000)"
    )
    parser.add_argument("--format", choices=("c", "onnx"), default="c", help="format of the file")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write (default: the name of the policy with .c, for onnx without ending)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..distillation import export
    from ..distillation.policy import load
    from ._policies import robot_of

    policy, robot = load(args.policy), robot_of(args.robot, args.node)
    if args.format == "onnx":
        path = args.output or args.policy.with_suffix("")
        export.to_onnx(policy, robot, path)
        print(f"wrote {path}.goal.onnx and {path}.act.onnx")
        return 0
    path = args.output or args.policy.with_suffix(".c")
    path.write_text(export.to_c(policy, robot, args.rate), encoding="utf-8")
    print(f"wrote {path}")
    return 0
