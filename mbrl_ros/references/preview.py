"""What the references give to the planner in a tick."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..types import Array


class Phase(enum.Enum):
    """What a target's reference does; see target_manager.py."""

    TRACK = "track"
    EXCITE = "excite"
    SERVO = "servo"
    FEATURES_LOST = "features_lost"


TRACKING = Phase.TRACK  # to look a member of an enumeration up takes a call in Python 3.11


@dataclass(frozen=True, eq=False, slots=True)
class Preview:
    """References over a horizon: `kind` of target, q (T, n), p (T, 3) [m] for points, s (T, m) for features.

    uncontrolled (k,): the positions of the joints of `Robot.uncontrolled`; None where there are none.
    """

    kind: str
    q: Array
    p: Array | None = None
    s: Array | None = None
    uncontrolled: Array | None = None
