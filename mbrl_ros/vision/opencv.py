"""OpenCV, imported when it is first needed: the rest of the package does without it."""

from __future__ import annotations

import functools
import os
from typing import Any

from ..exceptions import ConfigurationError

INSTALL_VISION = "pip install 'mbrl_ros[vision]'"
LEAST_VERSION = (4, 7)  # the first with cv2.aruco.ArucoDetector
MOST_PIXELS = 1 << 26  # of an image that is read; a file of few bytes can ask for any number


@functools.cache
def opencv() -> Any:
    """Return the module cv2.

    Raises
    ------
    ConfigurationError
        It is missing or too old; the error says what to install.
    """
    # Read once, when OpenCV is loaded.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))
    try:
        import cv2
    except ImportError as error:
        raise ConfigurationError(f"image features need OpenCV ({error}): {INSTALL_VISION}") from None
    version = tuple(int(part) for part in cv2.__version__.split(".")[:2])
    if version < LEAST_VERSION:
        raise ConfigurationError(
            f"image features need OpenCV 4.7 or later, this is {cv2.__version__}: {INSTALL_VISION}"
        )
    return cv2
