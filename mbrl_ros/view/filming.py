"""Make a film of a run and write it to a file, with progress."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..console.progress import Progress
from ..exceptions import ConfigurationError
from .film import Film, Moments
from .shapes import Shapes
from .snapshot import Snapshot
from .video import checked_video, opened_video


@dataclass(frozen=True)
class FilmOptions:
    """How a film is made: `size` (width, height) [pixels], `rate` [pictures/s], `speed` times real time.

    begin, end: the part that is shown [s], counted from the beginning; infinite: to the end.
    """

    file: Path
    size: tuple[int, int] = (800, 450)
    rate: float = 12.5
    speed: float = 1.0
    begin: float = 0.0
    end: float = math.inf

    def check(self) -> None:
        """Raise an error where the film could not be made: `checked_video`."""
        checked_video(self.file)
        if self.begin >= self.end:
            raise ConfigurationError(f"second {self.begin:g} is not before second {self.end:g}", key="begin")


class Part:
    """The moments of others from `begin` to `end` [s], counted from their beginning."""

    def __init__(self, moments: Moments, begin: float, end: float):
        self._moments, self.title = moments, moments.title
        self.begin, self.end = moments.begin + begin, min(moments.begin + end, moments.end)
        if self.begin > moments.end:
            raise ConfigurationError(f"it lasts {moments.end - moments.begin:.1f} s: second {begin:g} is after its end")

    def at(self, stamp: float) -> Snapshot:
        """Return the moment at `stamp` [s]."""
        return self._moments.at(stamp)


def make(shapes: Shapes, moments: Moments, options: FilmOptions, shown: Progress) -> list[str]:
    """Write a film of `moments` of a robot with `shapes`; return the names of meshes that are not drawn."""
    shown.show("loading the meshes")
    film = Film(shapes, Part(moments, options.begin, options.end), options.size, moments.begin)
    with opened_video(options.file, options.rate) as video:
        for stamp, picture in film.frames(options.rate, options.speed):
            video.add(picture)
            shown.show("drawing the film", stamp - moments.begin)
        shown.show("writing the film")
    return film.undrawn
