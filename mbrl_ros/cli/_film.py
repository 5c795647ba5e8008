"""The options of `mbrl demo` for a film of the run."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import ConfigurationError
from ._numbers import POSITIVE, pixels, real

if TYPE_CHECKING:
    from ..view.filming import FilmOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    film = parser.add_argument_group("a film of the run")
    film.add_argument(
        "--video",
        type=Path,
        metavar="FILE",
        help="make a film of the run, .mp4 or .gif; no browser, no display, no graphics card. It takes minutes more",
    )
    film.add_argument("--video-size", type=pixels, metavar="WxH", help="its pixels, even numbers (default: 800x450)")
    film.add_argument("--video-speed", type=POSITIVE, metavar="X", help="times simulated time (default: 1)")
    film.add_argument(
        "--video-part",
        nargs=2,
        type=real(0.0),
        metavar="S",
        help="first and last second of it (default: the whole run)",
    )


def options(args: argparse.Namespace) -> FilmOptions | None:
    """Return how the film of --video is made; None without --video."""
    from ..view.filming import FilmOptions

    if args.video is None:
        if (args.video_size, args.video_speed, args.video_part) != (None, None, None):
            raise ConfigurationError("--video-size, -speed and -part are those of --video FILE", key="video")
        return None
    if args.compare or args.scenario in ("pick", "distill"):
        what = "--compare" if args.compare else f"--scenario {args.scenario}"
        raise ConfigurationError(f"--video is a film of one run of the nodes: leave out {what}", key="video")
    begin, end = args.video_part or (0.0, math.inf)
    found = FilmOptions(args.video, speed=args.video_speed or 1.0, begin=begin, end=end)
    if args.video_size is not None:
        found = replace(found, size=args.video_size)
    found.check()
    return found
