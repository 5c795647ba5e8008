"""Square markers of ArUco's dictionary 4x4_50, the first eight, as pictures for a texture.

A marker is a square of 6 x 6 cells: a black border of one cell around 4 x 4 bits, 1 is white (Garrido-Jurado et al.,
Pattern Recognition 47, 2014). Around it a plate leaves a white margin of one cell, which detectors need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config.sections.images import MARKERS

CELLS, WHITE_CELLS = 6, 1  # of a marker's edge, and white ones around it
# 16 bits of every marker, row by row from the upper left corner, the first bit the highest
_BITS = (0xB532, 0x0F9A, 0x332D, 0x9946, 0x549E, 0x79CD, 0x9E2E, 0xC4F2)

assert len(_BITS) == MARKERS


def bits(marker: int) -> NDArray[np.bool_]:
    """Return the bits (4, 4) of a marker, true where a cell is white."""
    code = _BITS[marker]
    return np.array([code >> (15 - i) & 1 for i in range(16)], dtype=bool).reshape(4, 4)


def picture(marker: int, cell: int = 32) -> NDArray[np.uint8]:
    """Draw a marker with its white margin, `cell` pixels a cell: (8 cell, 8 cell) uint8, 0 black."""
    cells = np.full((CELLS + 2 * WHITE_CELLS,) * 2, 255, dtype=np.uint8)
    cells[WHITE_CELLS:-WHITE_CELLS, WHITE_CELLS:-WHITE_CELLS] = 0
    inner = WHITE_CELLS + 1
    cells[inner:-inner, inner:-inner] = np.where(bits(marker), 255, 0)
    return cells.repeat(cell, axis=0).repeat(cell, axis=1)


def plate_size(marker_size: float) -> float:
    """Return the edge [m] of the plate, white margin included, of a marker whose black square has this edge [m]."""
    return marker_size * (CELLS + 2 * WHITE_CELLS) / CELLS
