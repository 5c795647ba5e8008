"""Run a node as a process: executor in one thread, signals as requests to end in order (executor.py), an exit code.

rclpy's own signal handling ends the context before a last command can be sent; it is therefore switched off. Exit
codes: 0 ended as requested, 1 the node gave up, 2 it could not start (the reason is printed).
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import rclpy
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from ..config.settings_file import check, located, parameter_files
from ..exceptions import ConfigurationError, MbrlError
from .executor import EndRequest, Spinner


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
