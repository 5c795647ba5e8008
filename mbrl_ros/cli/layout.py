"""`mbrl layout`: layouts of Foxglove and PlotJuggler for a controller."""

from __future__ import annotations

import argparse
from pathlib import Path

from ._settings import add_node_argument

HELP = "print a layout of Foxglove or PlotJuggler in which every value of a controller has its name"
LAYOUT_EXAMPLES = """examples:
  mbrl layout plotjuggler -o panda.xml              then Layout > Load in PlotJuggler
  mbrl layout foxglove --robot my_robot.yaml -o my_robot.json

Those of the Panda are config/plotjuggler.xml and config/foxglove.json.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog, parser.formatter_class = LAYOUT_EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("tool", choices=["foxglove", "plotjuggler"], help="for which tool")
    parser.add_argument("--robot", default="panda", help="a name from config/ or a YAML file (default: panda)")
    add_node_argument(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it to FILE instead")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..config.resources import settings_path
    from ..config.settings_file import load_configuration
    from ..nodes.status import FIELDS
    from ..nodes.target_progress import PROGRESS_FIELDS
    from ..robots import load_robot
    from ..view.plot_layouts import Topics, foxglove_layout, plotjuggler_layout

    node = "/" + (args.node or "mpc_node").strip("/")
    settings = load_configuration(settings_path(args.robot), node=args.node).robot
    namespace = node.rpartition("/")[0]
    topics = Topics(
        node=node,
        joints=settings.joints or load_robot(settings).joints,
        status_fields=tuple(FIELDS),
        progress_fields=tuple(PROGRESS_FIELDS),
        joint_states=f"{namespace}/joint_states",
        commands=f"{namespace}/commands",
        robot_description=f"{namespace}/robot_description",
        ghost=f"{namespace}/display_node/ghost",
    )
    text = foxglove_layout(topics) if args.tool == "foxglove" else plotjuggler_layout(topics)
    if args.output:
        args.output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0
