"""Report exceptions that must not reach the robot: all are counted, and the first of its kind and line is logged."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Callable


class ErrorReport:
    """Count exceptions by event in `events`; log(level, text) is told of every one from a line that was new."""

    def __init__(self, events: Counter[str], log: Callable[[str, str], None]):
        self._events, self._log = events, log
        self._reported: set[tuple[str, type[BaseException] | None, str, int | None]] = set()

    def __call__(self, event: str) -> None:
        """Report the exception that is being handled."""
        self._events[event] += 1
        kind, _, where = sys.exc_info()
        frame = traceback.extract_tb(where)[-1]
        source = (event, kind, frame.filename, frame.lineno)
        if source not in self._reported:
            self._reported.add(source)
            self._log("error", f"{event}, the first of this kind from this line:\n{traceback.format_exc()}")
