"""From an image to points in half image widths: the method, and the lens where one is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ..config import registry
from ..config.section import Section
from ..types import Array
from .base import Method, half_widths
from .lens import Lens
from .picture import Picture


@dataclass(frozen=True, eq=False, slots=True)
class ImagePoints:
    """What was found in one image: points (n, 2) [half image widths], pixels (n, 2) where they are in the image.

    confidence (n,) in [0, 1], 0 where a point is not seen (its position is NaN); ids (n,); depth (n,) [m], NaN where it
    is unknown, None without a depth image.
    """

    points: Array
    pixels: Array
    confidence: Array
    ids: NDArray[np.int32]
    depth: Array | None = None


def load_method(name: str, settings: Section | None = None) -> Method:
    """Build the method of this name; without settings with its defaults.

    Raises
    ------
    ConfigurationError
        There is none, its settings do not fit, or what it needs is not installed.
    """
    module = registry.load("vision", name)
    return cast(Method, module.build(module.Settings() if settings is None else settings))


def find(method: Method, picture: Picture, lens: Lens | None = None) -> ImagePoints:
    """Find the points of an image; with a lens, where they would be without its distortion."""
    found = method.detect(picture)
    points, confidence = found.points, found.confidence
    if lens is not None:
        points = lens.undistort(points)
    seen = (confidence > 0.0) & np.isfinite(points.sum(axis=1))
    if not seen.all() or confidence.max(initial=0.0) > 1.0:
        points, confidence = np.where(seen[:, None], points, np.nan), np.where(seen, np.minimum(confidence, 1.0), 0.0)
    depth = None if picture.depth is None else picture.depth_at(found.points)
    return ImagePoints(half_widths(points, picture.width, picture.height), found.points, confidence, found.ids, depth)


def moved_to(found: ImagePoints, place: Array) -> ImagePoints | None:
    """Return the points shifted so that their mean is at `place` (2,) [half image widths]; None if not all are seen."""
    if not len(found.ids) or not (found.confidence > 0.0).all() or not np.isfinite(place).all():
        return None
    points = found.points + (place - found.points.mean(axis=0))
    return ImagePoints(points, found.pixels, np.ones(len(points)), found.ids)
