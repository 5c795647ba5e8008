"""A node as a process: its executor in one thread, signals as requests to end in order, an exit code.

rclpy's own signal handling ends the context before a last command can be sent, so it is switched off. Exit codes:
0 ended as asked, 1 the node gave up, 2 it could not start (the reason is printed).
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from ..exceptions import MbrlError

DDS_SETTINGS = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class EndRequest:
    """Ask the main thread to end, from a signal handler or any thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.code = 0

    def on_signals(self) -> None:
        """SIGINT and SIGTERM ask for the end. They are written into the pipe where they arrive: a Python handler alone is
        called by the main thread only, and not while that waits here because the signal came just before, or elsewhere.
        """
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def set(self, code: int = 0) -> None:
        self.code = max(self.code, code)
        os.write(self._write, b"x")

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the end was requested, within `timeout` [s]."""
        return bool(select.select([self._read], [], [], timeout)[0])

    def close(self) -> None:
        """From now on the signals are ignored: a second Ctrl-C has nothing left to end."""
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.close(self._read)
        os.close(self._write)


class Spinner:
    """Runs a node's callbacks in a thread of its own. A callback that raises is reported and does not end the others."""

    def __init__(self, node: Node):
        self._executor = make_executor()
        self._executor.add_node(node)
        self._end = Future()
        self._thread = threading.Thread(target=self._spin, name="executor", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        # EventsExecutor.spin() without a future keeps a core busy in rclpy 7.1.
        while not self._end.done() and rclpy.ok():
            try:
                self._executor.spin_until_future_complete(self._end, timeout_sec=1.0)
            except Exception:  # a mistake in one callback must not leave a moving robot without the others
                traceback.print_exc()

    def stop(self) -> None:
        self._end.set_result(None)
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()


def make_executor() -> Executor:
    """EventsExecutor where there is one: a third of the processor time of the other."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def prefer_udp() -> None:
    """No shared memory with other processes, unless the environment says otherwise: where one of them is killed while it holds
    the lock of a port, Fast DDS's senders wait for it, and every publisher of this process for a second.
    """
    if not any(name in os.environ for name in DDS_SETTINGS):
        os.environ[DDS_SETTINGS[0]] = "UDPv4"


def initialise(arguments: list[str] | None) -> None:
    """rclpy.init without its signal handlers; a log folder that cannot be written costs the log, not the robot."""
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except rclpy_implementation.RCLError as error:
        if "logging" not in str(error):
            raise
        print(f"no log files: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        rclpy.init(
            args=[*(sys.argv if arguments is None else arguments), "--ros-args", "--disable-external-lib-logs"],
            signal_handler_options=SignalHandlerOptions.NO,
        )


def run(make_node: Callable[[EndRequest], Node], arguments: list[str] | None = None) -> int:
    """Make the node, run it until a signal or the node itself asks for the end, and end it.

    The node has begin() -> None, called with its callbacks already running, and end() -> None.
    """
    end = EndRequest()
    end.on_signals()
    initialise(arguments)
    node = spinner = None
    try:
        node = make_node(end)
        spinner = Spinner(node)
        node.begin()
        end.wait()
    except MbrlError as error:
        print(f"{node.get_name() if node else os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        end.code = 2
    finally:
        if node is not None:
            node.end()
        if spinner is not None:
            spinner.stop()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        end.close()
        del node, spinner
        gc.unfreeze()
        gc.collect()  # while the libraries behind the objects are still there
    return end.code
