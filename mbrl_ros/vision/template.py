"""Small pictures found again by normalized cross-correlation (OpenCV's TM_CCOEFF_NORMED), refined below a pixel.

A template is a file, or a region of the first image. Its point is its center. It is looked for around where it was
seen last, and in the whole image where it is not there. At the best place a parabola through the correlation there and
beside it, in each direction, gives the fraction of a pixel. Confidence is the correlation, 0 below `min_score`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.section import Section, setting
from ..exceptions import ConfigurationError
from .base import Detection
from .opencv import opencv
from .picture import Picture, Pixels

LEAST_CONTRAST = 2.0  # standard deviation of a template's brightness below which it is everywhere and nowhere
LEAST_SIDE = 5  # [px]
Place = tuple[float, float]  # x, y [px]
NOWHERE: Place = (math.nan, math.nan)
REGION = 4  # numbers that say where a region is


@dataclass(frozen=True)
class Settings(Section):
    """Which pictures, and where they are looked for."""

    files: tuple[str, ...] = setting((), "pictures to look for, one a point (PNG, JPEG)")
    regions: tuple[float, ...] = setting(
        (),
        "left, top, width and height of each region of the first image to look for; one a point, after those of files",
        unit="px",
        low=0.0,
    )
    search: int = setting(
        40, "how far from its last place a picture is looked for first; 0: in the whole image", unit="px", low=0
    )
    min_score: float = setting(0.6, "least correlation", low=0.0, high=1.0)

    def validate(self) -> None:
        """Check that regions are whole."""
        if len(self.regions) % REGION:
            raise ConfigurationError("must be four numbers a region", key="regions", value=self.regions)


class Templates:
    """Finds pictures again."""

    def __init__(self, settings: Settings):
        self._cv2, self._settings = opencv(), settings
        self._files = [_read(file) for file in settings.files]
        count = len(settings.files) + len(settings.regions) // REGION
        if not count:
            raise ConfigurationError("the method 'template' needs vision.template.files or .regions", key="method")
        self._ids = np.arange(count, dtype=np.int32)
        self.reset()

    def reset(self) -> None:
        """Take the regions from the next image."""
        self._templates: list[Pixels] = list(self._files)
        self._last: list[Place | None] = [None] * len(self._ids)  # each center's last place

    def detect(self, picture: Picture) -> Detection:
        """Return one point a template; see the top of this module."""
        gray, found = picture.gray, Detection.nothing(self._ids)
        if len(self._templates) < len(self._ids) and not self._cut_regions(gray):
            return found
        for at, template in enumerate(self._templates):
            point, score = self._near(gray, template, self._last[at])
            if score < self._settings.min_score:
                point, score = self._best(gray, template, 0, 0, picture.width, picture.height)
            self._last[at] = None
            if score >= self._settings.min_score:
                found.points[at], found.confidence[at] = point, min(1.0, score)
                self._last[at] = point
        return found

    def _cut_regions(self, gray: Pixels) -> bool:
        """Cut the regions out of the image; False if one is not inside, or shows nothing."""
        numbers = np.rint(np.reshape(self._settings.regions, (-1, REGION))).astype(int)
        cut = [gray[top : top + height, left : left + width].copy() for left, top, width, height in numbers]
        sizes = [(height, width) for _, _, width, height in numbers.tolist()]
        if any(_unusable(part) or part.shape != size for part, size in zip(cut, sizes, strict=True)):
            return False
        self._templates = [*self._files, *cut]
        return True

    def _near(self, gray: Pixels, template: Pixels, last: Place | None) -> tuple[Place, float]:
        """Look around the last place; score -1 where there is none."""
        search, (height, width) = self._settings.search, template.shape
        if not search or last is None:
            return NOWHERE, -1.0
        x, y = round(last[0] - (width - 1) / 2), round(last[1] - (height - 1) / 2)  # the template's first pixel
        left, top = max(0, x - search), max(0, y - search)
        right, bottom = min(gray.shape[1], x + width + search), min(gray.shape[0], y + height + search)
        return self._best(gray, template, left, top, right, bottom)

    def _best(
        self, gray: Pixels, template: Pixels, left: int, top: int, right: int, bottom: int
    ) -> tuple[Place, float]:
        """Return the best place of a template's center in a part of the image, and its correlation."""
        height, width = template.shape
        part = gray[top:bottom, left:right]
        if part.shape[0] < height or part.shape[1] < width:
            return NOWHERE, -1.0
        scores = self._cv2.matchTemplate(part, template, self._cv2.TM_CCOEFF_NORMED)
        _, score, _, (x, y) = self._cv2.minMaxLoc(scores)
        if not math.isfinite(score):
            return NOWHERE, -1.0
        across, down = left + x + vertex(scores[y, :], x), top + y + vertex(scores[:, x], y)
        return (across + (width - 1) / 2, down + (height - 1) / 2), score


def vertex(values: NDArray[np.float32], at: int) -> float:
    """Return how far the vertex of the parabola through values[at - 1 : at + 2] lies from `at`, at most 0.5."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2].tolist()
    curvature = before - 2.0 * here + after
    return min(0.5, max(-0.5, (before - after) / (2.0 * curvature))) if curvature < 0.0 else 0.0


def _read(file: str) -> Pixels:
    cv2 = opencv()
    template: Pixels | None = cv2.imread(file, cv2.IMREAD_GRAYSCALE)
    if template is None:
        raise ConfigurationError(f"'{file}' is no picture that can be read", key="vision.template.files", value=file)
    if _unusable(template):
        raise ConfigurationError(
            f"'{file}' has {template.shape[1]} x {template.shape[0]} pixels without contrast, or is too small",
            key="vision.template.files",
            value=file,
        )
    return template


def _unusable(template: Pixels) -> bool:
    return min(template.shape) < LEAST_SIDE or float(template.std()) < LEAST_CONTRAST


def build(settings: Settings) -> Templates:
    """Build the method."""
    return Templates(settings)
