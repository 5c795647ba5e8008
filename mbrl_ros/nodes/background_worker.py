"""A thread for tasks that may take longer than a control period, such as inverse kinematics, one after the other.

The thread that receives the states must not wait for such a task: a state that comes late cannot be used any more.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable


class BackgroundWorker:
    """Run tasks in their order in a thread of its own."""

    def __init__(self, capacity: int = 20):
        """Start the thread; `capacity` is the largest number of tasks that may wait."""
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        self._thread.start()

    def run(self, task: Callable[[], None]) -> bool:
        """Append `task` to the queue; return False, and do not run it, if the queue is full."""
        try:
            self._waiting.put_nowait(task)
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """Finish the tasks that wait, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            try:
                task()
            except Exception:  # a task that fails must not end the others
                traceback.print_exc()
