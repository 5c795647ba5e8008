"""Count the user-space instructions of this process, by the processor's counter or under valgrind.

`PerfCounter` reads the counter that `perf stat -e instructions:u` reads, of the calling thread. Where the kernel or the
machine has none (virtual machines often have not), the same program runs under valgrind, and `CallgrindCounter` asks
valgrind's tool callgrind for its count. Both count in the process itself, so that what lies between two marks is known
without a second run.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..codegen.compiler import find_compiler, load_library
from ..codegen.library_folder import cache_directory
from ..exceptions import MbrlError

HARDWARE_INSTRUCTIONS = (0, 1)  # type and number of the event in <linux/perf_event.h>
USER_ONLY = 0b1100000  # exclude_kernel, exclude_hv
ATTRIBUTES = struct.Struct("=IIQQQQQ")  # type, size, config, sample_period, sample_type, read_format, flags
ATTRIBUTES_SIZE = 64  # PERF_ATTR_SIZE_VER0
SYSTEM_CALL = {"x86_64": 298, "aarch64": 241}  # perf_event_open
VALGRIND_MARCH = "x86-64-v3"  # valgrind knows no AVX-512
WRAPPER = "cxx-"  # begins the names of compilers for another instruction set
MARK_SOURCE = r"""
#include <valgrind/callgrind.h>
extern "C" int running() { return RUNNING_ON_VALGRIND; }
extern "C" void start() { CALLGRIND_START_INSTRUMENTATION; }
extern "C" void stop() { CALLGRIND_STOP_INSTRUMENTATION; }
extern "C" void mark() { VALGRIND_MONITOR_COMMAND("status internal"); }
"""
COUNT_LINE = re.compile(r"^events-1: (\d+)$", re.MULTILINE)  # in callgrind's answer


class Counter(Protocol):
    """Takes marks while a program runs; what was counted at each of them is known afterwards."""

    def start(self) -> None:
        """Begin to count; marks are taken only between `start` and `stop`."""

    def stop(self) -> None:
        """Count no more until the next `start`."""

    def mark(self) -> None:
        """Take a mark."""

    def counts(self) -> list[int]:
        """Return the instructions counted at each mark; only differences between `start` and `stop` mean anything."""


class NoCounterError(MbrlError):
    """Instructions cannot be counted on this machine; the message says why."""


class PerfCounter:
    """The processor's counter of this thread's instructions in user space.

    Raises
    ------
    NoCounterError
        The kernel does not open the counter.
    """

    def __init__(self, event: tuple[int, int] = HARDWARE_INSTRUCTIONS):
        number = SYSTEM_CALL.get(platform.machine())
        if number is None or platform.system() != "Linux":
            raise NoCounterError(f"no counter is known for {platform.system()} on {platform.machine()}")
        kind, config = event
        attributes = ATTRIBUTES.pack(kind, ATTRIBUTES_SIZE, config, 0, 0, 0, USER_ONLY).ljust(ATTRIBUTES_SIZE, b"\0")
        libc = ctypes.CDLL(None, use_errno=True)
        file = libc.syscall(number, ctypes.c_char_p(attributes), 0, -1, -1, 0)
        if file < 0:
            why = os.strerror(ctypes.get_errno())
            raise NoCounterError(f"the kernel opens no counter of instructions ({why})")
        self._file, self._marks = file, list[bytes]()

    def start(self) -> None:
        """Begin to count: the counter always runs."""

    def stop(self) -> None:
        """Count no more: the counter always runs."""

    def mark(self) -> None:
        """Take a mark."""
        self._marks.append(os.read(self._file, 8))

    def counts(self) -> list[int]:
        """See `Counter`."""
        return [int.from_bytes(mark, "little") for mark in self._marks]

    def close(self) -> None:
        """Give the counter back."""
        os.close(self._file)


class CallgrindCounter:
    """What callgrind counts of this process, which runs under valgrind with `log` as its log file.

    Raises
    ------
    NoCounterError
        The process does not run under valgrind, or the library that speaks to it could not be compiled.
    """

    def __init__(self, log: Path):
        library = load_library("valgrind_mark", {"mark.cpp": MARK_SOURCE})
        if library is None:
            raise NoCounterError("valgrind's header files or a C++ compiler are not installed")
        if not library.running():
            raise NoCounterError("the process does not run under valgrind")
        self._log = log
        self.start: Callable[[], None] = library.start
        self.stop: Callable[[], None] = library.stop
        self.mark: Callable[[], None] = library.mark

    def counts(self) -> list[int]:
        """See `Counter`."""
        return [int(count) for count in COUNT_LINE.findall(self._log.read_text(errors="replace"))]


def available() -> tuple[str, str]:
    """Return ("perf" or "valgrind", ""), or ("", why instructions cannot be counted here)."""
    try:
        PerfCounter().close()
        return "perf", ""
    except NoCounterError as error:
        reason = str(error)
    if shutil.which("valgrind") is None:
        return "", f"{reason}, and valgrind is not installed"
    if load_library("valgrind_mark", {"mark.cpp": MARK_SOURCE}) is None:
        return "", f"{reason}, and valgrind's header files or a C++ compiler are not installed"
    return "valgrind", ""


def under_valgrind(log: Path) -> tuple[list[str], dict[str, str]]:
    """Return the words before a command that is to run under valgrind, and what its environment needs besides.

    What the command compiles is compiled for VALGRIND_MARCH instead of this processor. It must be compiled before:
    valgrind follows the process that takes the command's place, as some starters of Python do, and so a compiler too.
    """
    words = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--instr-atstart=no"]
    return [*words, f"--log-file={log}", "--callgrind-out-file=/dev/null"], compiler_for_valgrind()


def compiler_for_valgrind() -> dict[str, str]:
    """Return the environment variable that names a compiler for VALGRIND_MARCH, whatever -march it is given."""
    return compiler_for(VALGRIND_MARCH)


def compiler_for(march: str) -> dict[str, str]:
    """Return the environment variable that names a compiler for `march`, whatever -march it is given.

    Nothing where there is no compiler, or another kind of processor than x86-64.
    """
    real = find_compiler()
    if platform.machine() != "x86_64" or real is None:
        return {}
    wrapped = Path(real)
    if wrapped.name.startswith(WRAPPER) and wrapped.parent == cache_directory():
        real = wrapped.read_text(encoding="utf-8").rsplit("exec ", 1)[1].split(" ")[0]
    path = cache_directory() / f"{WRAPPER}{march}"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(
            f'#!/bin/sh\nfor a; do shift; case "$a" in -march=*) a=-march={march};; esac; '
            f'set -- "$@" "$a"; done\nexec {real} "$@"\n'
        )
    os.chmod(file.name, os.stat(file.name).st_mode | stat.S_IXUSR)
    os.replace(file.name, path)
    return {"CXX": str(path)}
