"""Images as they come in a sensor_msgs/Image, by its fields: encodings, padded rows, byte order, depth.

An image is refused (`ImageError`) by what its fields say before any pixel is touched; conversions to gray and to RGB
are made when they are asked for, once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..exceptions import MbrlError
from ..types import Array
from .opencv import MOST_PIXELS, opencv

Pixels = NDArray[np.uint8]
Depth = NDArray[np.float32]
MILLIMETERS = 1e-3  # [m], the unit of 16UC1 (ROS enhancement proposal 118)


@dataclass(frozen=True)
class Encoding:
    """How a pixel is stored: bytes of one number, numbers of one pixel, and OpenCV's codes to gray and to RGB.

    A code "" means that nothing is to be done. depth: the numbers are distances.
    """

    size: int
    channels: int
    gray: str = ""
    rgb: str = ""
    depth: bool = False


def _bayer(pattern: str, size: int) -> Encoding:
    return Encoding(size, 1, f"COLOR_Bayer{pattern}2GRAY", f"COLOR_Bayer{pattern}2RGB")


_MONO, _BGR = Encoding(1, 1, "", "COLOR_GRAY2RGB"), Encoding(1, 3, "COLOR_BGR2GRAY", "COLOR_BGR2RGB")
ENCODINGS = {
    "mono8": _MONO,
    "8UC1": _MONO,
    "mono16": Encoding(2, 1, "", "COLOR_GRAY2RGB"),
    "rgb8": Encoding(1, 3, "COLOR_RGB2GRAY", ""),
    "bgr8": _BGR,
    "8UC3": _BGR,
    "rgba8": Encoding(1, 4, "COLOR_RGBA2GRAY", "COLOR_RGBA2RGB"),
    "bgra8": Encoding(1, 4, "COLOR_BGRA2GRAY", "COLOR_BGRA2RGB"),
    "yuv422": Encoding(1, 2, "COLOR_YUV2GRAY_UYVY", "COLOR_YUV2RGB_UYVY"),
    "yuv422_yuy2": Encoding(1, 2, "COLOR_YUV2GRAY_YUY2", "COLOR_YUV2RGB_YUY2"),
    **{f"bayer_{p.lower()}{8 * size}": _bayer(p, size) for p in ("RGGB", "BGGR", "GBRG", "GRBG") for size in (1, 2)},
    "16UC1": Encoding(2, 1, depth=True),
    "32FC1": Encoding(4, 1, depth=True),
}


class ImageError(MbrlError):
    """An image cannot be read; `kind` is the name under which it is counted."""

    def __init__(self, kind: str, message: str):
        self.kind = kind
        super().__init__(message)


class ImageMessage(Protocol):
    """The fields of a sensor_msgs/Image that say where its pixels are."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class Picture:
    """One image: `gray` (h, w) and `rgb` (h, w, 3), converted when first asked for; `depth` (h, w) [m], or None.

    Depth is NaN where it is unknown. As a picture it is gray: 255 at `depth_range[0]` [m], 0 from `depth_range[1]` on
    and where it is unknown.
    """

    def __init__(
        self,
        raw: Pixels,
        encoding: str,
        depth: Depth | None = None,
        depth_range: tuple[float, ...] = (0.2, 2.0),
    ):
        """Keep the pixels `raw` (h, w[, channels]); the encoding tells how they are to be read."""
        self._raw, self._kind, self.encoding = raw, ENCODINGS[encoding], encoding
        self.depth, self._range = depth, depth_range
        self.height, self.width = raw.shape[:2]

    @functools.cached_property
    def gray(self) -> Pixels:
        """Brightness (h, w)."""
        if self.depth is not None:
            near, far = self._range
            share = (far - np.nan_to_num(self.depth, nan=far)) / (far - near)
            shown: Pixels = (255.0 * np.clip(share, 0.0, 1.0) + 0.5).astype(np.uint8)
            return shown
        return self._converted(self._kind.gray)

    @functools.cached_property
    def rgb(self) -> Pixels:
        """Colors (h, w, 3)."""
        if self.depth is not None:
            return np.repeat(self.gray[:, :, None], 3, axis=2)
        return self._converted(self._kind.rgb)

    def depth_at(self, points: Array) -> Array:
        """Return the depth (n,) [m] at pixel positions (n, 2): the median of 3 by 3 pixels; NaN where it is unknown."""
        found = np.full(len(points), np.nan)
        if self.depth is None:
            return found
        for at in np.flatnonzero(np.isfinite(points).all(axis=1)):
            x, y = np.rint(points[at]).astype(int)
            near = self.depth[max(0, y - 1) : max(0, y + 2), max(0, x - 1) : max(0, x + 2)]
            known = near[np.isfinite(near)]
            found[at] = np.median(known) if known.size else np.nan
        return found

    def _converted(self, code: str) -> Pixels:
        found: Pixels = np.ascontiguousarray(self._raw)
        if code:
            cv2 = opencv()
            found = cv2.cvtColor(found, getattr(cv2, code))
        return found


def read_image(message: ImageMessage, depth_range: tuple[float, ...] = (0.2, 2.0)) -> Picture:
    """Read an image by the fields of a sensor_msgs/Image.

    Its data are not copied where they can be used as they are.

    Raises
    ------
    ImageError
        What does not fit: "wrong encoding", "zero size", "too many pixels", "wrong step" or "truncated data".
    """
    kind, h, w = _layout(message)
    step, order = message.step, ">" if message.is_bigendian else "<"
    number = "f4" if kind.size == 4 else f"u{kind.size}"
    shape, strides = (h, w), (step, kind.size * kind.channels)
    if kind.channels > 1:
        shape, strides = (*shape, kind.channels), (*strides, kind.size)  # type: ignore[assignment]  # one more axis
    raw: NDArray[Any] = np.ndarray(shape, np.dtype(order + number), memoryview(message.data), strides=strides)
    if kind.depth:
        depth = raw.astype(np.float32)
        if kind.size == 2:
            depth *= np.float32(MILLIMETERS)
        depth[~(np.isfinite(depth) & (depth > 0.0))] = np.nan
        return Picture(np.empty((h, w), np.uint8), message.encoding, depth, depth_range)
    if kind.size == 2:
        raw = (raw >> 8).astype(np.uint8)
    return Picture(raw, message.encoding)


def _layout(message: ImageMessage) -> tuple[Encoding, int, int]:
    """Return (encoding, height, width) of an image whose data are all there; ImageError otherwise."""
    kind, h, w = ENCODINGS.get(message.encoding), message.height, message.width
    if kind is None:
        raise ImageError(
            "wrong encoding", f"encoding '{message.encoding[:40]}' cannot be read; these can: {', '.join(ENCODINGS)}"
        )
    if not (h > 0 and w > 0):
        raise ImageError("zero size", f"the image has {w} x {h} pixels")
    if h * w > MOST_PIXELS:
        raise ImageError("too many pixels", f"the image has {w} x {h} pixels, more than {MOST_PIXELS}")
    row = w * kind.size * kind.channels
    if message.step < row:
        raise ImageError("wrong step", f"step {message.step} is less than a row of {w} pixels, {row} bytes")
    needed, there = message.step * (h - 1) + row, len(message.data)
    if there < needed:
        raise ImageError("truncated data", f"{there} bytes of data do not hold {w} x {h} pixels, {needed} bytes")
    return kind, h, w
