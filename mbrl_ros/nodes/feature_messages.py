"""What feature_node writes: points as PointCloud2, and the image with the points drawn on it."""

from __future__ import annotations

import sys
from array import array

import numpy as np
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header

from ..types import Array
from ..vision.finder import ImagePoints
from ..vision.opencv import opencv
from ..vision.picture import Picture

POINT_FIELDS = [("x", "<f8"), ("y", "<f8"), ("confidence", "<f8"), ("id", "<i4")]
DEPTH_FIELD = ("depth", "<f8")
FIELD_TYPES = {"<f8": PointField.FLOAT64, "<i4": PointField.INT32}
SEEN, NOT_SEEN = (40, 220, 60), (240, 160, 30)  # RGB
BAR = 20  # [px], height of the bar with the text
SEEN_FROM = 0.5  # confidence from which on a point is drawn as seen; features.min_confidence of mpc_node by default


def to_points(header: Header, found: ImagePoints) -> PointCloud2:
    """Write points under the image's own header: x, y [half image widths], confidence, id and, if known, depth [m]."""
    names = [*POINT_FIELDS, *([DEPTH_FIELD] if found.depth is not None else [])]
    kind = np.dtype(names, align=True)
    rows = np.zeros(len(found.ids), kind)
    rows["x"], rows["y"] = found.points.T
    rows["confidence"], rows["id"] = found.confidence, found.ids
    if found.depth is not None:
        rows["depth"] = found.depth
    offsets = {name: field[1] for name, field in (kind.fields or {}).items()}
    return PointCloud2(
        header=header,
        height=1,
        width=len(rows),
        point_step=kind.itemsize,
        row_step=kind.itemsize * len(rows),
        is_dense=bool(np.isfinite(found.points).all()),
        fields=[
            PointField(name=name, offset=offsets[name], datatype=FIELD_TYPES[code], count=1) for name, code in names
        ],
        data=array("B", rows.tobytes()),
    )


def annotated(picture: Picture, found: ImagePoints, text: str, targets: Array | None = None) -> np.ndarray:
    """Return the image (h, w, 3) in RGB with the points, their ids and a line of text drawn on it.

    targets (k, 2) [px]: where the points are wanted, drawn as crosses.
    """
    cv2 = opencv()
    image = picture.rgb.copy()
    size = max(3, picture.width // 160)
    for point, confidence, number in zip(found.pixels, found.confidence, found.ids, strict=True):
        if confidence > 0.0:
            at, color = _integers(point), SEEN if confidence >= SEEN_FROM else NOT_SEEN
            cv2.circle(image, at, size, color, 1, cv2.LINE_AA)
            cv2.putText(image, str(number), (at[0] + size, at[1] - size), cv2.FONT_HERSHEY_PLAIN, 1.0, color, 1)
    for point in () if targets is None else targets[np.isfinite(targets).all(axis=1)]:
        cv2.drawMarker(image, _integers(point), (250, 40, 40), cv2.MARKER_CROSS, 3 * size, 1, cv2.LINE_AA)
    top = max(0, picture.height - BAR)
    image[top:] //= 4  # a dark bar behind the text
    cv2.putText(image, text, (4, picture.height - 5), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255), 1, cv2.LINE_AA)
    return image


def to_image(header: Header, rgb: np.ndarray) -> Image:
    """Write an image (h, w, 3) as rgb8."""
    height, width = rgb.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=int(sys.byteorder == "big"),
        step=3 * width,
        data=array("B", rgb.tobytes()),
    )


def _integers(point: Array) -> tuple[int, int]:
    """Return a pixel position for drawing, which takes no numbers beyond 16 bits."""
    x, y = np.clip(np.rint(point), -(2**15), 2**15 - 1)
    return int(x), int(y)
