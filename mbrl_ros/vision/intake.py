"""Which images of a topic are used, and what is known of their stream.

All images that are used come from one camera: the same frame_id and size. One of another camera is refused until the
first has been silent for CAMERA_PATIENCE; then it is taken up, as the first of a new stream. While two publishers are
on the topic none is used: nobody can tell whose camera is meant.
"""

from __future__ import annotations

import math
from collections import Counter, deque

import numpy as np

from .picture import ImageError

CAMERA_PATIENCE = 1.0  # [s]
RATE_INTERVALS = 60  # images whose intervals give the rate
LEAST_INTERVALS = 5
LONGEST_LOSS = 2.0  # [s]: a longer one is a pause, not lost images


class Refusals:
    """Counts what was refused, by kind, and keeps the last explanation of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.details: dict[str, str] = {}

    def add(self, kind: str, detail: str) -> bool:
        """Count; return whether it is the first of its kind."""
        self.counts[kind] += 1
        self.details[kind] = detail
        return self.counts[kind] == 1


class OneCamera:
    """Lets the images of one camera through."""

    def __init__(self) -> None:
        self.publishers: tuple[str, ...] = ()  # on the topic; two or more: none is used
        self._camera: tuple[str, int, int] | None = None
        self._heard = -math.inf

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height [px] of the camera's images; None before the first."""
        return None if self._camera is None else self._camera[1:]

    def admit(self, frame_id: str, width: int, height: int, now: float) -> bool:
        """Take an image that arrives at `now` [s], of a clock that only goes on; return whether a new stream begins.

        Raises
        ------
        ImageError
            It is not used: "two publishers", "frame_id changed" or "size changed".
        """
        if len(self.publishers) > 1:
            raise ImageError("two publishers", f"images come from {', '.join(self.publishers)}; none is used")
        camera, known = (frame_id, width, height), self._camera
        if known is not None and camera != known and now - self._heard < CAMERA_PATIENCE:
            if frame_id != known[0]:
                raise ImageError("frame_id changed", f"from '{known[0][:80]}' to '{frame_id[:80]}'")
            raise ImageError("size changed", f"from {known[1]} x {known[2]} to {width} x {height} pixels")
        self._camera, self._heard = camera, now
        return known is not None and camera != known


class FrameRate:
    """The rate of a stream by its stamps, and how many images are missing in it."""

    def __init__(self) -> None:
        self.lost = 0
        self._intervals: deque[float] = deque(maxlen=RATE_INTERVALS)
        self._last = math.nan

    @property
    def rate(self) -> float:
        """Images a second [Hz], by the median interval; NaN before there are LEAST_INTERVALS."""
        return 1.0 / self._period if len(self._intervals) >= LEAST_INTERVALS else math.nan

    @property
    def _period(self) -> float:
        return float(np.median(self._intervals))

    def restart(self) -> None:
        """Forget the intervals: another stream begins."""
        self._intervals.clear()
        self._last = math.nan

    def add(self, stamp: float) -> None:
        """Take the stamp [s] of an image that is used."""
        gap, self._last = stamp - self._last, stamp
        if not 0.0 < gap <= LONGEST_LOSS:
            return
        if len(self._intervals) >= LEAST_INTERVALS:
            self.lost += max(0, round(gap / self._period) - 1)
        self._intervals.append(gap)
