"""Markers of ArUco and AprilTag: four corners of each, or its center, through OpenCV's detector.

The center is where the diagonals of the corners meet, so that it is the image of the marker's center from any view.
A marker that is in the image twice is ambiguous: the one nearer to where it was last is taken, with the
confidence AMBIGUOUS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.section import Section, setting
from ..exceptions import ConfigurationError
from ..types import Array
from .base import AMBIGUOUS, Detection
from .opencv import opencv
from .picture import Picture

DICTIONARIES = (
    *(f"{bits}X{bits}_{count}" for bits in (4, 5, 6, 7) for count in (50, 100, 250, 1000)),
    "ARUCO_ORIGINAL",
    "APRILTAG_16h5",
    "APRILTAG_25h9",
    "APRILTAG_36h10",
    "APRILTAG_36h11",
)
REFINEMENTS = {"none": 0, "subpix": 1, "contour": 2, "apriltag": 3}  # cv2.aruco.CORNER_REFINE_*
CORNERS = 4


@dataclass(frozen=True)
class Settings(Section):
    """Which markers, and what of them."""

    dictionary: str = setting("4X4_50", "family of the markers; APRILTAG_36h11 is tag36h11", choices=DICTIONARIES)
    ids: tuple[float, ...] = setting((0.0,), "numbers of the markers, in the order of the points", low=0.0)
    corners: bool = setting(
        True, "four points a marker, clockwise from its first corner; false: its center, one point a marker"
    )
    refinement: str = setting("subpix", "how corners are made more exact than a pixel", choices=tuple(REFINEMENTS))
    full_size: float = setting(
        16.0, "side of a marker from which on its confidence is 1; a smaller one has less", unit="px", low=1.0
    )

    def validate(self) -> None:
        """Check the numbers of the markers."""
        if any(number != int(number) for number in self.ids) or len(set(self.ids)) < len(self.ids):
            raise ConfigurationError("must be different whole numbers", key="ids", value=self.ids)


class Markers:
    """Finds the markers of `settings`."""

    def __init__(self, settings: Settings):
        cv2 = opencv()
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{settings.dictionary}"))
        if settings.ids and max(settings.ids) >= len(dictionary.bytesList):
            raise ConfigurationError(
                f"vision.aruco.ids: {settings.dictionary} has markers 0 to {len(dictionary.bytesList) - 1}",
                key="vision.aruco.ids",
                value=settings.ids,
            )
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = REFINEMENTS[settings.refinement]
        self._detector: Any = cv2.aruco.ArucoDetector(dictionary, parameters)
        self._settings = settings
        self._each = CORNERS if settings.corners else 1
        self._row = {int(number): at for at, number in enumerate(settings.ids)}
        ids = np.array(settings.ids)[:, None] * self._each + np.arange(self._each)
        self._ids = ids.ravel().astype(np.int32)
        self._last: dict[int, Array] = {}  # the marker's first point, where it was seen last

    def detect(self, picture: Picture) -> Detection:
        """Return CORNERS points a marker, or one; see the top of this module."""
        found = Detection.nothing(self._ids)
        quads, numbers, _ = self._detector.detectMarkers(picture.gray)
        seen: dict[int, list[Array]] = {}
        for quad, number in zip(quads, () if numbers is None else np.ravel(numbers), strict=True):
            if int(number) in self._row:
                seen.setdefault(int(number), []).append(np.asarray(quad, dtype=float).reshape(CORNERS, 2))
        for number, candidates in seen.items():
            corners = min(candidates, key=lambda quad: self._way(number, quad))
            self._last[number] = corners[0]
            at = slice(self._row[number] * self._each, (self._row[number] + 1) * self._each)
            found.points[at] = corners if self._settings.corners else center_of(corners)
            side = float(np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1).min())
            found.confidence[at] = min(1.0, side / self._settings.full_size) if len(candidates) == 1 else AMBIGUOUS
        return found

    def reset(self) -> None:
        """Forget where the markers were."""
        self._last.clear()

    def _way(self, number: int, quad: Array) -> float:
        last = self._last.get(number)
        return 0.0 if last is None else float(np.linalg.norm(quad[0] - last))


def center_of(corners: Array) -> Array:
    """Return where the diagonals of four corners (4, 2), in order, meet: p with p = a + t (c - a) = b + s (d - b)."""
    a, b, c, d = corners
    matrix = np.column_stack((c - a, b - d))
    t, _ = np.linalg.solve(matrix, b - a) if abs(np.linalg.det(matrix)) > 1e-9 else (0.5, 0.5)
    center: Array = a + t * (c - a)
    return center


def build(settings: Settings) -> Markers:
    """Build the detector."""
    return Markers(settings)
