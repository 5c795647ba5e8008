"""The processor that compiled code is for."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

# The instruction sets that a library may be compiled for, and what /proc/cpuinfo must list for it to run.
MICROARCHITECTURES: dict[str, frozenset[str]] = {
    "x86-64": frozenset(),
    "x86-64-v2": frozenset(("sse4_2", "ssse3", "popcnt", "cx16")),
    "x86-64-v3": frozenset(("avx2", "bmi2", "fma", "movbe", "f16c")),
    "x86-64-v4": frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")),
    "armv8-a": frozenset(),
}
COMMON = {"x86_64": "x86-64-v3", "aarch64": "armv8-a"}  # what most machines of a kind have
NATIVE = "native"  # all that this processor has


@functools.cache
def processor() -> str:
    """Describe the processor: what -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(
            line
            for line in lines
            if line.split(":")[0].strip() in ("model name", "flags", "Features", "CPU implementer", "CPU part")
        )
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


def processor_name() -> str:
    """Return the name of the processor; where the system does not say it, that of its kind."""
    names = (line.partition(":")[2].strip() for line in processor().splitlines() if line.startswith("model name"))
    return next(names, platform.machine())


def missing_instructions(instruction_set: str) -> list[str]:
    """List what this processor lacks of an instruction set of MICROARCHITECTURES."""
    lines = (line.partition(":") for line in processor().splitlines())
    there = {word for name, _, words in lines if name.strip() in ("flags", "Features") for word in words.split()}
    return sorted(MICROARCHITECTURES[instruction_set] - there)
