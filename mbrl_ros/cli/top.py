"""`mbrl top`: a running controller in the terminal, for a robot that is reached by ssh."""

from __future__ import annotations

import argparse
import sys

from ._numbers import POSITIVE

HELP = "show a running controller, its robot and its guard in the terminal"
TOP_EXAMPLES = """examples:
  mbrl top                         until Ctrl-C, in this ROS_DOMAIN_ID
  mbrl top --once | grep rate      one frame, without colors: for scripts
  mbrl top --robot panda.urdf      limits of the joints, where nobody publishes robot_description

It publishes nothing. Exit code 1 of --once: no status has come.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog, parser.formatter_class = TOP_EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--node", default="mpc_node", help="the controller that is shown (default: mpc_node)")
    parser.add_argument("--guard", default="guard_node", help="its guard (default: guard_node)")
    parser.add_argument("--robot", default="", metavar="URDF", help="URDF file or 'package-data:NAME'")
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    parser.add_argument("--period", type=POSITIVE, default=0.5, help="time between two frames [s] (default: 0.5)")
    parser.add_argument(
        "--wait", type=POSITIVE, default=10.0, help="how long --once waits for a status [s] (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..nodes.process import run as run_node
    from ..nodes.terminal_view import TopNode

    return run_node(
        lambda end: TopNode(
            end,
            controller=args.node,
            guard=args.guard,
            description=args.robot,
            period=args.period,
            once=args.once,
            patience=args.wait,
        ),
        [sys.argv[0]],
    )
