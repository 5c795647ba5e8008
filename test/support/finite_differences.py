"""Central differences, to hold derivatives against."""

from collections.abc import Callable

import numpy as np

STEP = 1e-6


def derivative(function: Callable[[np.ndarray], np.ndarray | float], z: np.ndarray, step: float = STEP) -> np.ndarray:
    """d function / dz at z (nz,): the shape of the function's value, and nz behind it.

    The error is step^2 / 6 times the third derivative, and the rounding of the value over the step.
    """
    z = np.asarray(z, dtype=np.float64)
    columns = [(np.array(function(z + h)) - np.array(function(z - h))) / (2.0 * step) for h in step * np.eye(z.size)]
    return np.stack(columns, axis=-1)
