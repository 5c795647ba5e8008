"""What the references give to the planner in a tick."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Array


@dataclass(frozen=True, eq=False, slots=True)
class Preview:
    """References over a horizon: `kind` of target, q (T, n), p (T, 3) [m] for points, s (T, m) for features.

    uncontrolled (k,): with points, the positions of the joints of `Robot.uncontrolled`; None where there are none.
    """

    kind: str
    q: Array
    p: Array | None = None
    s: Array | None = None
    uncontrolled: Array | None = None
