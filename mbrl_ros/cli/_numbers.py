"""Types of numbers on a command line: one that is out of bounds, or no finite number, is refused with the usage."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

SMALLEST_SIDE, LARGEST_SIDE = 64, 4096  # [pixels]


def real(low: float = -math.inf, *, above: float = -math.inf, infinite: bool = False) -> Callable[[str], float]:
    """Return a type for argparse: a finite number that is at least `low` and more than `above`.

    infinite: inf counts, too.
    """
    bound = f" of at least {low:g}" if low > -math.inf else f" above {above:g}" if above > -math.inf else ""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        finite = math.isfinite(value) or (infinite and value == math.inf)
        if not (finite and value >= low and value > above):
            raise argparse.ArgumentTypeError(f"must be a finite number{bound}, got '{text}'")
        return value

    return read


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """Return a type for argparse: a whole number from `low` to `high`."""
    bound = f"of at least {low}" if high == math.inf else f"from {low} to {high:g}"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number {bound}, got '{text}'")
        return value

    return read


def pixels(text: str) -> tuple[int, int]:
    """Parse the size of a picture such as 800x450; its sides are even, as films need them."""
    width, _, height = text.lower().partition("x")
    size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (0, 0)
    if any(side % 2 or not SMALLEST_SIDE <= side <= LARGEST_SIDE for side in size):
        raise argparse.ArgumentTypeError(
            f"must be two even numbers from {SMALLEST_SIDE} to {LARGEST_SIDE}, such as 800x450, got '{text}'"
        )
    return size


POSITIVE = real(above=0.0)
SEED_NUMBER = whole(0)
COUNT = whole(1)
