"""Targets that wait for their time; filled by one thread, emptied by another."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..exceptions import TargetError
from .segments import Waypoints
from .targets import Target

MOST_JOGS = 100  # in a tick


class _Asked(threading.local):
    """In each thread: how often targets had been forgotten when those that it adds were asked for; None: now."""

    at: int | None = None


class TargetQueue:
    """Targets in order of time, at most `most` of them.

    A target takes the place of one that would begin at the same tick of `dt` [s]; one that holds from now on replaces
    all that wait. Jogs, which are velocities, are kept beside them, the newest MOST_JOGS. accepted: targets since
    construction; adopted: how many had been accepted at the last `next_due`; forgotten: how often `clear` was called.
    """

    def __init__(self, dt: float, most: int):
        self._dt, self._most = dt, most
        self._waiting: list[Target] = []
        self._jogs: deque[Target] = deque(maxlen=MOST_JOGS)
        self._lock = threading.Lock()
        self.accepted = self.adopted = self.forgotten = 0
        self._asked = _Asked()

    @contextmanager
    def asked_at(self, forgotten: int) -> Iterator[None]:
        """Take what this thread adds within for asked when `forgotten` was that; TargetError after a `clear` since."""
        self._asked.at = forgotten
        try:
            self._check_asked()
            yield
        finally:
            self._asked.at = None

    def _check_asked(self) -> None:
        if self._asked.at is not None and self._asked.at != self.forgotten:
            raise TargetError("it was canceled before it could begin", kind="canceled")

    def add(self, target: Target) -> None:
        """Add a target; TargetError if its stamp is not finite or too many wait."""
        if not math.isfinite(target.stamp):
            raise TargetError(f"the stamp of a target must be finite, got {target.stamp}")
        with self._lock:
            self._check_asked()
            kept = [t for t in self._waiting if target.stamp > 0.0 and abs(t.stamp - target.stamp) > 0.5 * self._dt]
            if len(kept) >= self._most:
                raise TargetError(
                    f"{self._most} targets wait for their time already (reference.most_targets)", kind="too many wait"
                )
            self._waiting = sorted([*kept, target], key=lambda t: t.stamp)
            if target.stamp <= 0.0:
                self._jogs.clear()
            self.accepted += 1

    def add_jog(self, jog: Target) -> None:
        """Keep a jog for the next tick; TargetError if its stamp is not finite."""
        if not math.isfinite(jog.stamp):
            raise TargetError(f"the stamp of a target must be finite, got {jog.stamp}")
        with self._lock:
            self._check_asked()
            self._jogs.append(jog)
            self.accepted += 1

    def take_jogs(self) -> list[Target]:
        """Take the jogs that came since the last call, the newest last."""
        if not self._jogs:
            return []
        with self._lock:
            jogs = list(self._jogs)
            self._jogs.clear()
            return jogs

    def holds(self, path: Waypoints) -> bool:
        """Return whether the trajectory `path`, this very object, waits."""
        with self._lock:
            return any(waiting.path is path for waiting in self._waiting)

    def clear(self) -> None:
        """Forget every target that waits."""
        with self._lock:
            self._waiting = []
            self._jogs.clear()
            self.forgotten += 1

    def put_first(self, target: Target) -> None:
        """Let `target` be the next one, whatever its stamp."""
        with self._lock:
            self._waiting = [target, *self._waiting]

    def last_before(self, stamp: float) -> Target | None:
        """Return the last target that begins before `stamp` [s], of those that wait."""
        with self._lock:
            earlier = [waiting for waiting in self._waiting if waiting.stamp < stamp]
        return earlier[-1] if earlier else None

    def next_before(self, stamp: float) -> Target | None:
        """Return the first target that waits if it begins before `stamp` [s]."""
        with self._lock:
            return self._waiting[0] if self._waiting and self._waiting[0].stamp < stamp else None

    def next_due(self, stamp: float) -> Target | None:
        """Take the first target whose time has come at `stamp` [s]."""
        with self._lock:
            self.adopted = self.accepted
            if self._waiting and self._waiting[0].stamp <= stamp + 0.25 * self._dt:
                return self._waiting.pop(0)
        return None
