"""Arm the end of a node with the launch system that started it, before the node loads anything else.

A launch file of this package puts its own process id into the environment (`LAUNCH`). When this folder is
imported, before anything of ROS or of the controller is loaded, which takes seconds, the kernel is asked to end the
process when its parent dies. A launch that is dead already, however early it died, ends the node before it has sent
anything.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from .child_process import end_with_parent

LAUNCH = "MBRL_ROS_LAUNCH"  # the process id of the launch system that starts the node


def ancestors(process: int) -> list[int]:
    """Return the process ids of the parent, its parent and so on; empty where /proc does not tell."""
    found: list[int] = []
    while process > 1:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        process = int(state.rpartition(")")[2].split()[1])  # the name before it may hold anything, ")" too
        found.append(process)
    return found


def arm(environment: Mapping[str, str] = os.environ) -> bool:
    """End with the launch system that `environment` names; return False where it has ended already.

    The launch system may have started another program that starts the node (`prefix` of a launch file): then this
    program is the parent with which the node ends.
    """
    given = environment.get(LAUNCH, "")
    if not given.isdecimal():
        return True
    parent = os.getppid()
    end_with_parent(parent)
    above = ancestors(os.getpid())
    return not above or int(given) in above


def begin() -> None:
    """Arm the end with the launch system; end at once where it has ended already."""
    if not arm():
        sys.exit("the launch that started this node has ended")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the node handles it: Ctrl-C during the imports is no error
