"""How far the references are with a trajectory that was accepted as a target."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from .segments import Waypoints
from .target_queue import TargetQueue
from .targets import Target
from .trajectory import SmoothReference


class Stage(enum.Enum):
    """What the references do with the trajectory."""

    WAITING = "it has not begun"
    TRACKED = "they move along it, or rest at its end"
    DROPPED = "they serve another target, or none"


class Progress(NamedTuple):
    """The stage of a trajectory and, where it is TRACKED, the reference, which later motions do not change."""

    stage: Stage
    reference: SmoothReference | None = None


def progress_of(
    points: Waypoints,
    present: Target | None,
    postponed: Iterable[Target | None],
    queue: TargetQueue,
    reference: SmoothReference,
) -> Progress:
    """Return how far the references are with the trajectory `points`, in the thread that makes them.

    Parameters
    ----------
    points
        The object that was accepted; equal points of another target are not meant.
    present
        The target that `reference` serves.
    postponed
        Targets that are due, and begin when their motion is made or the reference rests.
    queue
        Targets that wait for their time.
    reference
        Of the joints.
    """
    if any(target is not None and target.path is points for target in postponed) or queue.holds(points):
        return Progress(Stage.WAITING)
    if present is not None and present.path is points:
        return Progress(Stage.TRACKED, reference.frozen())
    if queue.accepted != queue.adopted:  # what took its place begins in the next tick, which tells
        return Progress(Stage.WAITING)
    return Progress(Stage.DROPPED)
