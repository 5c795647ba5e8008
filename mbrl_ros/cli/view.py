"""`mbrl view`: a page in the browser that shows a running robot or a recording of one, or a film of a recording."""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigurationError
from ._numbers import POSITIVE, pixels, real, whole

if TYPE_CHECKING:
    from ..console.progress import Progress
    from ..view.filming import FilmOptions
    from ..view.recorded import Recorded
    from ..view.shapes import Shapes

HELP = "show a running robot and its controller, or a recording of them, in a web browser or as a film"
VIEW_EXAMPLES = """examples:
  mbrl view                        the robot of robot_description in this ROS_DOMAIN_ID
  mbrl view --robot panda.urdf     ... where nobody publishes robot_description
  mbrl view --bag run1             a recording, with a slider over its time
  mbrl view --bag run1 --summary out/summary.json        ... with the verdict of `mbrl replay run1 --output out`
  mbrl view --node model_health_node                     what model_health_node learns beside another controller
  mbrl view --bag run1 --video run1.mp4                  ... as a film; no browser, no display, no graphics card
  mbrl view --bag run1 --video run1.gif --speed 5 --size 640x360
  mbrl view --bag run1 --rerun run1.rrd                  ... for Rerun's viewer

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
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="summary.json of a demo or a replay, whose verdict is shown"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to serve the page on (default: 127.0.0.1)")
    parser.add_argument("--port", type=whole(0, 65535), default=8080, help="first port that is tried (default: 8080)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument(
        "--rerun", type=Path, metavar="FILE", help="write --bag for the viewer Rerun, and serve no page"
    )
    film = parser.add_argument_group("a film of the recording of --bag")
    film.add_argument("--video", type=Path, metavar="FILE", help="write a film, .mp4 or .gif, and serve no page")
    film.add_argument("--size", type=pixels, metavar="WxH", help="pixels, even numbers (default: 800x450)")
    film.add_argument("--fps", type=POSITIVE, help="pictures per second (default: 12.5)")
    film.add_argument("--speed", type=POSITIVE, help="times real time (default: 1)")
    film.add_argument("--begin", type=real(0.0), metavar="S", help="first second that is shown (default: 0)")
    film.add_argument("--end", type=POSITIVE, metavar="S", help="last second that is shown (default: the last)")


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if not 1 <= args.port <= 65535:
        raise ConfigurationError(f"--port {args.port}: ports are 1 to 65535", key="port", value=args.port)
    film = _film_options(args)
    if film is not None:
        return _filmed(args, film)
    if args.rerun is not None:
        return _for_rerun(args)
    importlib.import_module("viser")  # where it is missing, that is said before a bag is read

    return _live(args) if args.bag is None else _recorded(args)


def _film_options(args: argparse.Namespace) -> FilmOptions | None:
    """Return how the film of --video is made; None without --video."""
    from ..view.filming import FilmOptions

    given = {"size": args.size, "rate": args.fps, "speed": args.speed, "begin": args.begin, "end": args.end}
    further: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.video is None:
        if further:
            raise ConfigurationError("--size, --fps, --speed, --begin and --end are those of --video", key="video")
        return None
    if args.bag is None:
        raise ConfigurationError("--video makes a film of a recording: name it with --bag", key="video")
    options = FilmOptions(args.video, **further)
    options.check()
    return options


def _live(args: argparse.Namespace) -> int:
    from ..nodes.view_node import main

    parameters = {"node": args.node, "host": args.host, "port": args.port, "open_browser": not args.no_browser}
    description = args.robot or _description(args)
    if args.summary is not None:
        parameters["summary"] = str(args.summary.absolute())
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


def _read(args: argparse.Namespace, shown: Progress) -> tuple[Recorded, Shapes]:
    """Return the recording of --bag and the shapes of its robot."""
    from ..replay.options import ReplayOptions
    from ..replay.setup import prepare
    from ..robots.sources import folder_of
    from ..view.recorded import Recorded
    from ..view.shapes import read_shapes

    settings = {"robot.description": args.robot} if args.robot else {}
    setup = prepare(ReplayOptions(args.bag, config=args.config, settings=settings, plan=False))
    if not setup.robot.urdf:
        raise ConfigurationError("nothing tells what robot this is: --robot URDF or --config NAME", key="robot")
    recorded = Recorded(setup, shown)
    shown.show("loading the shapes")
    return recorded, read_shapes(setup.robot.urdf, folder_of(setup.configuration.robot.description))


def _tell(undrawn: list[str]) -> None:
    if undrawn:
        print(f"{len(undrawn)} meshes are not drawn, the first is {undrawn[0]}")


def _filmed(args: argparse.Namespace, options: FilmOptions) -> int:
    from ..console.progress import Progress
    from ..view.filming import make

    with Progress("view") as shown:
        recorded, shapes = _read(args, shown)
        undrawn = make(shapes, recorded, options, shown)
    _tell(undrawn)
    print(f"film: {options.file}")
    return 0


def _for_rerun(args: argparse.Namespace) -> int:
    from ..console.progress import Progress
    from ..view.rerun_file import checked_rerun, write_rerun

    if args.bag is None:
        raise ConfigurationError("--rerun writes a recording: name it with --bag", key="rerun")
    checked_rerun(args.rerun)
    with Progress("view") as shown:
        recorded, shapes = _read(args, shown)
        undrawn = write_rerun(args.rerun, shapes, recorded, shown)
    _tell(undrawn)
    print(f"rerun {args.rerun}")
    return 0


def _recorded(args: argparse.Namespace) -> int:
    from ..console.progress import Progress
    from ..view.page import Page, open_in_browser
    from ..view.player import Player
    from ..view.shown_verdict import verdict_of

    verdict = "" if args.summary is None else verdict_of(args.summary).line()
    with Progress("view") as shown:
        recorded, shapes = _read(args, shown)
        recorded.verdict = verdict
        page = Page(shapes, recorded.title, args.host, args.port)
    _tell(page.undrawn)
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
