"""Adam (Kingma and Ba 2015) with a rate that falls to 0 as a cosine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_MEMORY, SECOND_MEMORY, ADAM_FLOOR = 0.9, 0.999, 1e-8


class Adam:
    """Moves parameters of the shape and type of `theta`; rate: the first step size; steps: in all."""

    def __init__(self, theta: NDArray[Any], rate: float, steps: int):
        self._first, self._second = np.zeros_like(theta), np.zeros_like(theta)
        self._rate, self._steps, self._count = rate, steps, 0

    def step(self, theta: NDArray[Any], slope: NDArray[Any]) -> float:
        """Move `theta` against the gradient `slope`, in place; return the step size."""
        self._count += 1
        first, second, count = self._first, self._second, self._count
        first += (1.0 - FIRST_MEMORY) * (slope - first)
        second += (1.0 - SECOND_MEMORY) * (slope * slope - second)
        rate = self._rate * 0.5 * (1.0 + math.cos(math.pi * count / self._steps))
        step = rate / (1.0 - FIRST_MEMORY**count)
        theta -= step * first / (np.sqrt(second / (1.0 - SECOND_MEMORY**count)) + ADAM_FLOOR)
        return rate
