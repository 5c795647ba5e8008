"""Run a node as a process: executor in one thread, signals as requests to end in order, an exit code.

rclpy's own signal handling ends the context before a last command can be sent; it is therefore switched off. Exit
codes: 0 ended as requested, 1 the node gave up, 2 it could not start (the reason is printed).
"""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import ok, try_shutdown

from ..config.settings_file import check, located, parameter_files
from ..exceptions import ConfigurationError, MbrlError

DDS_SETTINGS = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
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


class RunnableNode(Protocol):
    """What run() calls of a node, which must also be an rclpy Node."""

    def begin(self) -> None:
        """Start the node's work; its callbacks run already."""

    def end(self) -> None:
        """Finish in order; the callbacks still run."""

    def get_name(self) -> str:
        """Return the node's name."""

    def destroy_node(self) -> None:
        """Release what the node holds."""


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


def prefer_udp() -> None:
    """Switch shared memory with other processes off, unless the environment says otherwise.

    When one of them is killed while it holds the lock of a port, Fast DDS's senders wait for that lock, and every
    publisher of this process with them for a second.
    """
    if not any(name in os.environ for name in DDS_SETTINGS):
        os.environ[DDS_SETTINGS[0]] = "UDPv4"


def initialize(arguments: list[str] | None, files: Sequence[str] = ()) -> None:
    """Call rclpy.init without its signal handlers; where the log folder cannot be written, without log files.

    Raises
    ------
    ConfigurationError
        One of the parameter `files` among the arguments cannot be read.
    """
    check(files)  # before ROS, whose message would be longer and name no remedy
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except rclpy_implementation.RCLError as error:
        if "params file" in str(error):
            raise ConfigurationError(" ".join(str(error).split())) from None
        if "logging" not in str(error):
            raise
        print(f"no log files: {error}", file=sys.stderr)
        try_shutdown()
        rclpy.init(
            args=[*(sys.argv if arguments is None else arguments), "--ros-args", "--disable-external-lib-logs"],
            signal_handler_options=SignalHandlerOptions.NO,
        )


def run(make_node: Callable[[EndRequest], RunnableNode], arguments: list[str] | None = None) -> int:
    """Make a node, run it until a signal or the node itself requests the end, and end it.

    Parameters
    ----------
    make_node
        Makes the node; the node may call set() of the EndRequest that it is given.
    arguments
        Command line with --ros-args; None: that of the process.

    Returns
    -------
    int
        The exit code of the process.
    """
    end = EndRequest()
    end.on_signals()
    files = parameter_files(sys.argv if arguments is None else arguments)
    node = spinner = None
    try:
        initialize(arguments, files)
        node = make_node(end)
        check(files, cast(Node, node).get_fully_qualified_name())
        spinner = Spinner(cast(Node, node))
        node.begin()
        end.wait()
    except MbrlError as error:
        message = located(error, files)
        print(f"{node.get_name() if node else os.path.basename(sys.argv[0])}: {message}", file=sys.stderr)
        end.code = 2
    finally:
        if node is not None:
            node.end()
        if spinner is not None:
            spinner.stop()
        if node is not None:
            node.destroy_node()
        try_shutdown()
        end.close()
        del node, spinner
        gc.unfreeze()
        gc.collect()  # while the libraries behind the objects are still loaded
    return end.code
