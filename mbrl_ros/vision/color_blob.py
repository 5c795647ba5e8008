"""Centers of colored areas: for each hue the largest connected area of enough saturation and brightness.

The center is the mean of the area's pixels. Confidence is 1 - a_2 / a_1 with the largest area a_1 and the second a_2,
so that a color that is there twice is ambiguous; at most AMBIGUOUS where the area is cut off by the image's border,
since its center is not that of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..config.section import Section, setting
from ..exceptions import ConfigurationError
from .base import AMBIGUOUS, Detection
from .opencv import opencv
from .picture import Picture, Pixels

DEGREES = 2.0  # of hue for one step of OpenCV's HSV in 8 bits


@dataclass(frozen=True)
class Settings(Section):
    """Which colors."""

    hues: tuple[float, ...] = setting(
        (0.0,), "hue of each point's color: 0 red, 60 yellow, 120 green, 240 blue", unit="deg", low=0.0, high=360.0
    )
    hue_width: float = setting(20.0, "largest distance from that hue", unit="deg", low=2.0, high=180.0)
    min_saturation: float = setting(0.4, "least saturation: 0 gray, 1 a pure color", low=0.0, high=1.0)
    min_value: float = setting(0.2, "least brightness of the strongest channel", low=0.0, high=1.0)
    min_area: float = setting(30.0, "least area", unit="px", low=1.0)


class ColorBlobs:
    """Finds the colored areas of `settings`."""

    def __init__(self, settings: Settings):
        self._cv2, self._settings = opencv(), settings
        self._ids = np.arange(len(settings.hues), dtype=np.int32)

    def detect(self, picture: Picture) -> Detection:
        """Return one point a hue; see the top of this module."""
        cv2, found = self._cv2, Detection.nothing(self._ids)
        if picture.depth is not None or picture.encoding in ("mono8", "mono16", "8UC1"):
            return found  # there are no colors
        hsv = cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2HSV)
        for at, hue in enumerate(self._settings.hues):
            count, _, statistics, centers = cv2.connectedComponentsWithStats(self._mask(hsv, hue), connectivity=4)
            if count < 2:
                continue
            areas = statistics[1:, cv2.CC_STAT_AREA]
            largest = 1 + int(areas.argmax())
            area = float(areas[largest - 1])
            if area < self._settings.min_area:
                continue
            second = float(np.partition(areas, -2)[-2]) if count > 2 else 0.0
            left, top, width, height = statistics[largest, :4]
            cut = left == 0 or top == 0 or left + width == picture.width or top + height == picture.height
            found.points[at] = centers[largest]
            found.confidence[at] = min(1.0 - second / area, AMBIGUOUS if cut else 1.0)
        return found

    def reset(self) -> None:
        """Nothing is remembered."""

    def _mask(self, hsv: Pixels, hue: float) -> Pixels:
        """Return where the color is (h, w): 255, elsewhere 0; hues wrap around at 360 degrees."""
        settings = self._settings
        low, high = (hue - settings.hue_width) / DEGREES, (hue + settings.hue_width) / DEGREES
        turn = 360.0 / DEGREES
        ranges = [(low, high)]
        if low < 0.0:
            ranges = [(0.0, high), (low + turn, turn)]
        elif high >= turn:
            ranges = [(low, turn), (0.0, high - turn)]
        floor = (255.0 * settings.min_saturation, 255.0 * settings.min_value)
        masks = [self._cv2.inRange(hsv, (first, *floor), (last, 255.0, 255.0)) for first, last in ranges]
        mask: Pixels = masks[0] if len(masks) == 1 else self._cv2.bitwise_or(*masks)
        return mask


def build(settings: Settings) -> ColorBlobs:
    """Build the method."""
    if len(set(settings.hues)) < len(settings.hues):
        raise ConfigurationError("the hues must differ", key="vision.color_blob.hues", value=settings.hues)
    return ColorBlobs(settings)
