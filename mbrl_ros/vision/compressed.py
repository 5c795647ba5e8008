"""Images that come as files, in a sensor_msgs/CompressedImage: JPEG, PNG and what else OpenCV reads."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .opencv import opencv
from .picture import ImageError, Picture

ENDING = 64  # bytes at the end of a file among which its end marker is looked for
# {first bytes: what a whole file has among its last bytes}; decoders show the upper part of others without a word.
END_MARKERS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}


class CompressedMessage(Protocol):
    """The fields of a sensor_msgs/CompressedImage."""

    format: str
    data: Any


def read_compressed(message: CompressedMessage) -> Picture:
    """Read an image that is a file.

    Raises
    ------
    ImageError
        "zero size", "truncated data", or "wrong encoding" where it is no image of 8 bits that OpenCV reads.
    """
    data = np.frombuffer(memoryview(message.data), dtype=np.uint8)
    if not data.size:
        raise ImageError("zero size", "a compressed image without data")
    first, last = data[:4].tobytes(), data[-ENDING:].tobytes()
    for start, end in END_MARKERS.items():
        if first.startswith(start) and end not in last:
            raise ImageError(
                "truncated data", f"{data.size} bytes of {message.format[:40]} without the end of the file"
            )
    cv2 = opencv()
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError("wrong encoding", f"{message.format[:40]}: {' '.join(str(error).split())[:200]}") from None
    if image is None:
        raise ImageError("wrong encoding", f"{data.size} bytes of '{message.format[:40]}' are no image")
    return Picture(image, "bgr8")
