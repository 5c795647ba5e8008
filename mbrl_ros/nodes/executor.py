"""The executor of a node in a thread of its own, and requests to end: also what guard_node needs.

No import from the rest of the package: the guard starts within a moment and loads nothing of the controller.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
import traceback

from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from rclpy.utilities import ok

LOOK_UP = 0.5  # [s] after which the main thread looks whether a signal has come by another way
PROCESS_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class EndRequest:
    """A request to the main thread to end the process, made by a signal handler or any thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._signalled = False
        self.code = 0

    def on_signals(self) -> None:
        """Take SIGINT and SIGTERM as requests to end.

        They are written into the pipe where they arrive. A Python handler alone is called by the main thread only,
        and not while the main thread waits, be it that the signal came just before or to another thread. It is there
        for a byte that does not arrive, whatever becomes of the pipe: wait() looks up now and then.
        """
        for number in PROCESS_SIGNALS:
            signal.signal(number, self._note)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def set(self, code: int = 0) -> None:
        """Request the end with exit code `code`; of several codes the largest counts."""
        self.code = max(self.code, code)
        os.write(self._write, b"x")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a request, at most `timeout` [s]; return whether there is one."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._signalled:
            left = end - time.monotonic()
            if select.select([self._read], [], [], min(LOOK_UP, max(0.0, left)))[0]:
                return True
            if left <= LOOK_UP:
                break
        return self._signalled

    def _note(self, *_: object) -> None:
        self._signalled = True

    def close(self) -> None:
        """Ignore the signals from now on: after the end a second Ctrl-C has nothing to do."""
        signal.set_wakeup_fd(-1)
        for number in PROCESS_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.close(self._read)
        os.close(self._write)


class Spinner:
    """Run a node's callbacks in a thread of its own; one that raises is reported and does not stop the others."""

    def __init__(self, node: Node):
        self._executor = make_executor()
        self._executor.add_node(node)
        self._end: Future = Future()
        self._thread = threading.Thread(target=self._spin, name="executor", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        # EventsExecutor.spin() without a future keeps a core busy in rclpy 7.1.
        while not self._end.done() and ok():
            try:
                self._executor.spin_until_future_complete(self._end, timeout_sec=1.0)
            except ExternalShutdownException:
                return
            except Exception:  # an error in one callback must not leave a moving robot without the others
                traceback.print_exc()

    def stop(self, patience: float | None = None) -> bool:
        """End the thread and the executor; return whether they have ended.

        A callback that is not done within `patience` [s] (None: without end) is left to the end of the process.
        """
        self._end.set_result(None)
        self._executor.wake()
        self._thread.join(patience)
        if self._thread.is_alive():
            return False
        self._executor.shutdown()
        return True


def make_executor() -> Executor:
    """Make an EventsExecutor where rclpy has one: it needs a third of the processor time of SingleThreadedExecutor."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def companion(node: Node, name: str) -> Node:
    """Make a node beside `node`, called NODE_name, for entities that its executor must not run."""
    return Node(
        f"{node.get_name()}_{name}",
        context=node.context,
        namespace=node.get_namespace(),
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )
