"""Run a node as a child process that ends when its parent dies.

    python -m mbrl_ros.nodes.child_process PARENT MODULE ARGUMENT...

PARENT is the process id of the parent, MODULE a module of mbrl_ros/nodes such as mpc_node. Before anything else is
loaded, the kernel is asked to send SIGTERM when the parent dies (Linux), so that the death of the parent at any time,
by SIGKILL too, does not leave the node running.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys

from .parent import PARENT

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def end_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to send SIGTERM to this process when its parent dies, or now if the parent is dead already.

    `ros2 launch` that is killed by a signal leaves its nodes running; with this they end. Where there is no prctl
    (systems other than Linux) nothing happens.

    Parameters
    ----------
    parent
        Process id of the parent when it started this process; None: the one when this package was imported.
    """
    parent = PARENT if parent is None else parent
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:
        return
    if prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) == 0 and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)  # the parent died before prctl took effect


def main(arguments: list[str] | None = None) -> int:
    """Run the main() of a node's module and return its exit code; `arguments` as the module says."""
    parent, module, *rest = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores SIGINT otherwise
    end_with_parent(int(parent))
    sys.argv = [module, *rest]
    return importlib.import_module(f"mbrl_ros.nodes.{module}").main()


if __name__ == "__main__":
    sys.exit(main())
