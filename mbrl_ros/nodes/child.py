"""`python -m mbrl_ros.nodes.child PARENT MODULE ARGUMENT...`: a node that does not outlive the process PARENT.

The system is asked before anything else is loaded, so that no moment is left in which the death of the parent, SIGKILL
included, would leave the node behind (Linux).
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def end_with_parent(parent: int | None = None) -> None:
    """From now on the death of the parent process is a SIGTERM, and so it is if `parent` has died already: `ros2 launch`
    killed by a signal leaves its nodes running.
    """
    parent = os.getppid() if parent is None else parent
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None and prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) == 0 and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)  # it died before or just now


def main(arguments: list[str] | None = None) -> int:
    parent, module, *rest = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    end_with_parent(int(parent))
    sys.argv = [module, *rest]
    return importlib.import_module(f"mbrl_ros.nodes.{module}").main()


if __name__ == "__main__":
    sys.exit(main())
