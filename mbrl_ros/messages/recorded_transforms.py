"""Where the frames of targets were taken to be, as events of the event log, so that a replay takes them to be there.

An event belongs to the target with its topic, frame, header stamp and numbers. Equal targets have their events in the
order in which they were accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..exceptions import DataError
from ..types import Array

TRANSFORMED = "transform_target"  # the name of the event
Key = tuple[str, str, float, tuple[float, ...]]


def transform_details(topic: str, frame: str, stamp: float, numbers: list[float], T: Array) -> dict[str, Any]:
    """Return the details of an event: T (4, 4) takes points of the frame of a target into the base frame.

    `numbers` are those of the message, stamped `stamp` [s] in its header.
    """
    return {
        "topic": topic,
        "frame": frame,
        "stamp": stamp,
        "numbers": numbers,
        "transform": T[:3].ravel().tolist(),
    }


class _Entry(NamedTuple):
    """An event: when it was recorded [s], to which target it belongs, and the transform (4, 4)."""

    arrived: float
    key: Key
    T: Array


class RecordedTransforms:
    """The events of a recording; those recorded more than `before` [s] before a target do not belong to it."""

    def __init__(self, before: float):
        self._before = before
        self._entries: list[_Entry] = []

    def add(self, arrived: float, details: Mapping[str, Any]) -> None:
        """Take in an event recorded at `arrived` [s]; DataError if it is none."""
        try:
            key = _key(details["topic"], details["frame"], details["stamp"], details["numbers"])
            rows = np.array(details["transform"], dtype=np.float64).reshape(3, 4)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"not the transform of a target: {error}") from None
        self._entries.append(_Entry(arrived, key, np.vstack((rows, (0.0, 0.0, 0.0, 1.0)))))

    def take(self, arrived: float, topic: str, frame: str, stamp: float, numbers: list[float]) -> Array | None:
        """Return the transform (4, 4) of a target recorded at `arrived` [s], once; None if there is none."""
        key = _key(topic, frame, stamp, numbers)
        self._entries = [entry for entry in self._entries if entry.arrived >= arrived - self._before]
        for k, entry in enumerate(self._entries):
            if entry.key == key:
                return self._entries.pop(k).T
        return None


def _key(topic: str, frame: str, stamp: float, numbers: list[float]) -> Key:
    return str(topic), str(frame), float(stamp), tuple(float(number) for number in numbers)
