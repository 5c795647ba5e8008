"""Work that may take longer than a period, such as inverse kinematics, one piece after the other in a thread of its own.

The thread that brings the states must not wait for it: states that come late are as good as none.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable


class BackgroundWorker:
    """run(errand) does it soon; False if `most` wait already."""

    def __init__(self, most: int = 20):
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        self._thread.start()

    def run(self, errand: Callable[[], None]) -> bool:
        try:
            self._waiting.put_nowait(errand)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Return when the worker that wait are done."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (errand := self._waiting.get()) is not None:
            try:
                errand()
            except Exception:  # one that fails must not end the others
                traceback.print_exc()
