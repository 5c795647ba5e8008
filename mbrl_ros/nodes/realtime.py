"""Ask the operating system for what a control thread needs: priority, a processor of its own, resident memory.

Each is requested if its setting says so. Where it is not granted, a warning names the remedy; that is never an error.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable

from ..config.sections.nodes import NodeSettings

SWITCH_INTERVAL = 0.0005  # [s]: within this time another thread that computes yields to the control thread
_MCL_CURRENT, _MCL_FUTURE = 1, 2  # <sys/mman.h>


def settle_process(settings: NodeSettings, warn: Callable[[str], None]) -> None:
    """Prepare the process once everything is built.

    The objects that stay are excluded from garbage collection (a full one takes 100 ms), threads switch quickly, and,
    if wanted, the memory is locked so that no page is swapped out.
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
    """Set the priority and the processors of the calling thread, the control thread.

    The other threads of the process, which receive states and send commands, get the priority below it.
    """
    if settings.priority:
        try:
            for thread in os.listdir("/proc/self/task"):
                os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(max(1, settings.priority - 1)))
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(settings.priority))
        except (OSError, AttributeError) as error:
            warn(
                f"no real-time priority ({error}); raise 'rtprio' in /etc/security/limits.conf or give CAP_SYS_NICE, "
                "or set priority: 0"
            )
    if settings.processors:
        try:
            os.sched_setaffinity(0, {int(processor) for processor in settings.processors})
        except (OSError, ValueError, AttributeError) as error:
            warn(f"the control thread could not be bound to processors {list(settings.processors)} ({error})")
