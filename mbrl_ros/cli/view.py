"""`mbrl view`: a page in the browser that shows a running robot, or a recording of one."""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
from pathlib import Path

from ..exceptions import ConfigurationError
from ._numbers import whole

HELP = "show a running robot and its controller, or a recording of them, in a web browser"
VIEW_EXAMPLES = """examples:
  mbrl view                        the robot of robot_description in this ROS_DOMAIN_ID
  mbrl view --robot panda.urdf     ... where nobody publishes robot_description
  mbrl view --bag run1             a recording, with a slider over its time

On a robot that is reached by ssh: ssh -L 8080:localhost:8080 ROBOT, mbrl view --no-browser there, and
http://localhost:8080 here.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog, parser.formatter_class = VIEW_EXAMPLES, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--bag", type=Path, metavar="BAG", help="rosbag2 folder, .db3 or .mcap (default: live)")
    parser.add_argument("--robot", default="", metavar="URDF", help="URDF file or 'package-data:NAME'")
    parser.add_argument("--config", default="", metavar="NAME|FILE", help="whose robot.description is shown")
    parser.add_argument("--node", default="mpc_node", help="the controller that is shown (default: mpc_node)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve the page on (default: 127.0.0.1)")
    parser.add_argument("--port", type=whole(0, 65535), default=8080, help="first port that is tried (default: 8080)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if not 1 <= args.port <= 65535:
        raise ConfigurationError(f"--port {args.port}: ports are 1 to 65535", key="port", value=args.port)
    importlib.import_module("viser")  # where it is missing, that is said before a bag is read

    return _live(args) if args.bag is None else _recorded(args)


def _live(args: argparse.Namespace) -> int:
    from ..nodes.view_node import main

    parameters = {"node": args.node, "host": args.host, "port": args.port, "open_browser": not args.no_browser}
    description = args.robot or _description(args)
    if description:
        parameters["robot_description"] = description
    arguments = [sys.argv[0], "--ros-args"]
    for key, value in parameters.items():
        arguments += ["-p", f"{key}:={str(value).lower() if isinstance(value, bool) else value}"]
    return main(arguments)


def _description(args: argparse.Namespace) -> str:
    """Return the robot.description of --config."""
    if not args.config:
        return ""
    from ..config.resources import settings_path
    from ..config.settings_file import read_settings

    return str(read_settings(settings_path(args.config)).get("robot.description", ""))


def _recorded(args: argparse.Namespace) -> int:
    from ..console.progress import Progress
    from ..replay.options import ReplayOptions
    from ..replay.setup import prepare
    from ..robots.sources import folder_of
    from ..view.page import Page, open_in_browser
    from ..view.player import Player
    from ..view.recorded import Recorded
    from ..view.shapes import read_shapes

    settings = {"robot.description": args.robot} if args.robot else {}
    setup = prepare(ReplayOptions(args.bag, config=args.config, settings=settings, plan=False))
    if not setup.robot.urdf:
        raise ConfigurationError("nothing tells what robot this is: --robot URDF or --config NAME", key="robot")
    with Progress("view") as shown:
        recorded = Recorded(setup, shown)
        shown.show("loading the shapes")
        folder = folder_of(setup.configuration.robot.description)
        page = Page(read_shapes(setup.robot.urdf, folder), recorded.title, args.host, args.port)
    if page.undrawn:
        print(f"{len(page.undrawn)} meshes are not drawn, the first is {page.undrawn[0]}")
    print(f"open {page.url}   (Ctrl-C ends it)", flush=True)
    if not args.no_browser:
        open_in_browser(page.url)
    try:
        Player(page, recorded).run(threading.Event())
    except KeyboardInterrupt:
        return 0
    finally:
        page.close()
    return 0
