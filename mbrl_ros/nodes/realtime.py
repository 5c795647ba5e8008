"""What the operating system lets a control thread have: a real-time priority, a processor of its own, resident memory.

Each is asked for if its setting says so, and its refusal is a warning with the remedy, never an error.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable

from ..config.sections.nodes import NodeSettings

SWITCH_INTERVAL = 0.0005  # [s]: a thread that computes gives way to the control thread within this
_MCL_CURRENT, _MCL_FUTURE = 1, 2  # <sys/mman.h>


def settle_process(settings: NodeSettings, warn: Callable[[str], None]) -> None:
    """Once everything is built: no full garbage collection (100 ms) over what stays, quick thread switches, and, if
    wanted, no page of this process ever on disk.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL)
    if settings.lock_memory:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
            warn(
                f"memory could not be locked ({os.strerror(ctypes.get_errno())}); raise 'memlock' in "
                "/etc/security/limits.conf or set lock_memory: false"
            )


def settle_thread(settings: NodeSettings, warn: Callable[[str], None]) -> None:
    """In the control thread itself: its priority and its processors. The process's other threads, which bring the states
    and take the commands, come right after it.
    """
    if settings.priority:
        try:
            for thread in os.listdir("/proc/self/task"):
                os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(max(1, settings.priority - 1)))
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(settings.priority))
        except (OSError, AttributeError) as error:
            warn(
                f"no real-time priority ({error}); raise 'rtprio' in /etc/security/limits.conf or give CAP_SYS_NICE, or "
                "set priority: 0"
            )
    if settings.processors:
        try:
            os.sched_setaffinity(0, {int(processor) for processor in settings.processors})
        except (OSError, ValueError, AttributeError) as error:
            warn(f"the control thread could not be bound to processors {list(settings.processors)} ({error})")
