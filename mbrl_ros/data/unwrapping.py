"""Angles that a driver reports within one turn: which steps between two samples are jumps of whole turns.

A step is a jump if it is larger than half a turn and the velocity does not explain it. With the expected step
e = (v_{k-1} + v_k)/2 (t_k - t_{k-1}), limited to half a turn, the number of whole turns in the step d is

    round((d - e) / 2 pi)   if |d| > pi,   else 0.
"""

from __future__ import annotations

import numpy as np

from ..types import Array


def whole_turns(step: Array, expected: Array | float) -> Array:
    """Return the whole turns in every step of an angle.

    Parameters
    ----------
    step
        of any shape [rad].
    expected
        what the velocity explains [rad], of the same shape; 0 where no velocity is known.
    """
    turns: Array = np.round((step - np.clip(expected, -np.pi, np.pi)) / (2.0 * np.pi))
    turns[np.abs(step) <= np.pi] = 0.0
    return turns
