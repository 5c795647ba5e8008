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
        """Start the thread; `capacity` is the largest number of tasks that may wait, unless `run` is told another."""
        self._capacity = capacity
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        self._thread.start()

    def run(self, task: Callable[[], None], capacity: int | None = None) -> bool:
        """Append `task` to the queue; return False, and do not run it, if `capacity` tasks wait."""
        if self._waiting.qsize() >= (self._capacity if capacity is None else capacity):
            return False
        self._waiting.put(task)
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
