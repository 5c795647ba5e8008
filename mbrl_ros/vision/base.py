"""What a method of finding image points is, and what it finds.

A pixel position (x, y) has x to the right and y down, and (0, 0) is the center of the first pixel. A method always
returns the same points in the same order: one that it does not see has confidence 0 and NaN for its position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..types import Array

if TYPE_CHECKING:
    from .picture import Picture

AMBIGUOUS = 0.4  # confidence of a point that may be another one: below features.min_confidence of mpc_node


@dataclass(frozen=True, eq=False, slots=True)
class Detection:
    """Points found in one image: points (n, 2) [px], confidence (n,) in [0, 1], ids (n,)."""

    points: Array
    confidence: Array
    ids: NDArray[np.int32]

    @classmethod
    def nothing(cls, ids: NDArray[np.int32]) -> Detection:
        """Return points of these ids (n,), none of which is seen; whoever finds one writes it in."""
        return cls(np.full((len(ids), 2), np.nan), np.zeros(len(ids)), ids)


class Method(Protocol):
    """Finds points in images that come one after the other from one camera."""

    def detect(self, picture: Picture) -> Detection:
        """Return the points of an image, always the same ones in the same order."""

    def reset(self) -> None:
        """Forget earlier images: the next one comes from another camera."""


def half_widths(points: Array, width: int, height: int) -> Array:
    """Return pixel positions (n, 2) in half image widths from the image's center, as `features` has them.

    u = (x - (width - 1) / 2) / (width / 2), v = (y - (height - 1) / 2) / (width / 2): u spans [-1, 1] from edge to edge
    of the image.
    """
    half = width / 2
    found: Array = points / half
    found -= ((width - 1) / (2 * half), (height - 1) / (2 * half))
    return found


def pixels(points: Array, width: int, height: int) -> Array:
    """Return positions (n, 2) in half image widths as pixel positions; the inverse of `half_widths`."""
    found: Array = points * (width / 2) + (np.array([width, height]) - 1) / 2
    return found
