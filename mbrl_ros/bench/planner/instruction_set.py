"""Which vector instructions a shared library is made of, read from its disassembly."""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# What is looked for, the widest first: {name: all of these occur}. Every x86-64 processor has SSE2.
INSTRUCTION_SETS: dict[str, tuple[bytes, ...]] = {
    "AVX-512": (b"%zmm",),
    "AVX2": (b"%ymm", b"vfmadd"),
    "AVX": (b"%ymm",),
    "SSE2": (b"%xmm",),
}
REGISTER_MARKS = tuple(dict.fromkeys(mark for marks in INSTRUCTION_SETS.values() for mark in marks))
DISASSEMBLY_CHUNK = 1 << 20
CHUNK_OVERLAP = 16  # longer than any of the marks, so that none is cut by the end of a chunk


def loaded(parts: Sequence[str]) -> list[str]:
    """Return the paths of the loaded libraries that contain one of `parts`; Linux only."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    paths = {line.split(maxsplit=5)[5] for line in lines if "/" in line}
    return sorted(path for path in paths if any(part in path for part in parts))


def widest(paths: Sequence[str]) -> tuple[str | None, str]:
    """Return the widest instruction set of libraries: (name, "") or (None, why it is not known)."""
    if not paths:
        return None, "no library of its own: numpy and CasADi choose their instructions at run time"
    found = [of_file(path) for path in paths]
    names = [name for name, _ in found if name is not None]
    order = list(INSTRUCTION_SETS)
    if names:
        return min(names, key=lambda name: order.index(name) if name in order else 0), ""
    return None, found[0][1]


@functools.cache
def of_file(path: str) -> tuple[str | None, str]:
    """Return the instruction set of one library: (name, "") or (None, why it is not known)."""
    if platform.machine() != "x86_64":
        return platform.machine(), ""
    if shutil.which("objdump") is None:
        return None, "objdump is not installed"
    seen: set[bytes] = set()
    with subprocess.Popen(
        ["objdump", "-d", "--no-show-raw-insn", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        rest = b""
        while chunk := process.stdout.read(DISASSEMBLY_CHUNK):
            text = rest + chunk
            seen.update(mark for mark in REGISTER_MARKS if mark not in seen and mark in text)
            rest = text[-CHUNK_OVERLAP:]
    for name, marks in INSTRUCTION_SETS.items():
        if seen.issuperset(marks):
            return name, ""
    return None, f"no vector instructions were found in {Path(path).name}"
