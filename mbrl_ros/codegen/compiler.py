"""C++ to a loaded shared library, once per source, compiler and processor.

A library is kept under $XDG_CACHE_HOME/mbrl_ros (default ~/.cache), named by a hash of its sources, flags, compiler
version and processor, and moved into place by an atomic rename, so that several processes may build the same one.
Whatever goes wrong (no compiler, a compiler error, a full disk, a damaged file) is logged once, and the caller gets
None and goes on without compiled code.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from ..exceptions import CompileError

_log = logging.getLogger(__name__)
# No -ffast-math: in a shared object it sets flush-to-zero for the whole process.
FLAGS = ("-std=gnu++17", "-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
# as numpy: no fused multiplication and addition, and values that are not finite are told from others
SAME_BITS = ("-ffp-contract=off", "-fno-fast-math", "-fno-finite-math-only")
# Tried in this order until one compiles: this processor's instructions, with glibc's vector mathematics if it has any.
FLAG_VARIANTS = (
    ("-march=native", "-DLIBMVEC", "-lmvec", "-lm"),
    ("-march=native", "-lm"),
    ("-mcpu=native", "-lm"),
    ("-lm",),
)
COMPILER_TIMEOUT = 300.0  # [s] after which a compiler is taken for hung
_logged: set[str] = set()
_fallbacks: list[str] = []


class CompilerFailed(CompileError):
    """The compiler ran and refused; holds the first lines of its messages."""


def cache_directory() -> Path:
    """Return the folder of compiled libraries."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "mbrl_ros"


def sources_of(package: str | None, *names: str) -> dict[str, str]:
    """Return {file name: text} of source files that lie in a package."""
    folder = files(package or "")
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def lane_source() -> dict[str, str]:
    """Return {file name: text} of lane.h, which defines the SIMD lanes that compiled code works on."""
    return sources_of(__package__, "lane.h")


def load_library(name: str, sources: Mapping[str, str], flags: Sequence[str] = ()) -> ctypes.PyDLL | None:
    """Compile `sources`, or load what an earlier call compiled of them.

    PyDLL keeps the interpreter's lock: right for calls of microseconds, which would lose milliseconds to get it back.

    Parameters
    ----------
    name : of the library, for its file and the log
    sources : {file name: text}; every *.cpp is compiled, the rest may be included
    flags : added to FLAGS and to the first of FLAG_VARIANTS that compiles (LIBMVEC is defined where glibc has it)

    Returns
    -------
    The library, or None where it cannot be had; the reason is logged once.
    """
    compiler = find_compiler()
    if compiler is None:
        _log_fallback(name, "there is no C++ compiler (install g++, or name one in $CXX)")
        return None
    key = _key(sources, flags, compiler)
    reason = "no directory for compiled code belongs to this user alone"
    # looking for a temporary directory is an error of its own where no file can be written
    for find in (cache_directory, lambda: Path(tempfile.gettempdir()) / f"mbrl_ros-{os.getuid()}"):
        try:
            directory = find()
            path = directory / f"{name}-{key}.so"
            if not _trusted(directory):
                continue
            library = _load(path) if path.exists() else None
            if library is None:
                _build(path, sources, compiler, flags)
                library = ctypes.PyDLL(str(path))
            return library
        except (OSError, subprocess.SubprocessError) as error:
            reason = f"{type(error).__name__}: {error}"
        except CompilerFailed as error:
            _log_fallback(name, f"{compiler} failed:\n{error}")
            return None
    _log_fallback(name, reason)
    return None


def find_compiler() -> str | None:
    """Return the C++ compiler's path: $CXX, else the first of g++, clang++, c++ on the path."""
    wanted = os.environ.get("CXX")
    for candidate in ([wanted] if wanted else []) + ["g++", "clang++", "c++"]:
        path = shutil.which(candidate)
        if path:
            return path
    return None


@functools.cache
def _compiler_version(compiler: str) -> str:
    try:
        return subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=30.0).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"


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


def _key(sources: Mapping[str, str], flags: Sequence[str], compiler: str) -> str:
    parts = [
        repr(sorted(sources.items())),
        repr((FLAGS, FLAG_VARIANTS, tuple(flags))),
        compiler,
        _compiler_version(compiler),
        processor(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _trusted(directory: Path) -> bool:
    """Make `directory`; only one that is ours and that nobody else may write to is loaded from."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _load(path: Path) -> ctypes.PyDLL | None:
    """Return the cached library, or None if its digest shows that the file is damaged: loading that could crash."""
    try:
        if path.with_suffix(".sha256").read_text() == hashlib.sha256(path.read_bytes()).hexdigest():
            return ctypes.PyDLL(str(path))
    except (OSError, UnicodeDecodeError):
        return None
    return None


def _build(path: Path, sources: Mapping[str, str], compiler: str, flags: Sequence[str]) -> None:
    _log.info("compiling %s (once; it is kept in %s)", path.stem, path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="build-") as folder:
        for file, text in sources.items():
            Path(folder, file).write_text(text)
        units = [file for file in sources if file.endswith(".cpp")]
        for variant in FLAG_VARIANTS:  # libraries stand last
            code, messages = _run_compiler([compiler, *FLAGS, *flags, *units, "-o", "out.so", *variant], folder)
            if code == 0:
                break
        else:
            raise CompilerFailed("\n".join(messages.splitlines()[:20]))
        built = Path(folder, "out.so")
        digest = Path(folder, "out.sha256")
        digest.write_text(hashlib.sha256(built.read_bytes()).hexdigest())
        os.replace(digest, path.with_suffix(".sha256"))
        os.replace(built, path)


def _run_compiler(command: Sequence[str], folder: str) -> tuple[int, str]:
    """Run the compiler in `folder`; return its code and messages. Where it is given up, what it started ends with it.

    Raises CompilerFailed after COMPILER_TIMEOUT: another attempt would take as long.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, messages = process.communicate(timeout=COMPILER_TIMEOUT)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise CompilerFailed(f"timed out after {COMPILER_TIMEOUT:g} s") from None
            raise
    return process.returncode, messages


def fallbacks() -> list[str]:
    """List what this process runs without compiled code, and why; empty where everything is compiled."""
    return list(_fallbacks)


def _log_fallback(name: str, reason: str) -> None:
    if (name + reason) not in _logged:
        _logged.add(name + reason)
        _fallbacks.append(f"{name}: {reason.splitlines()[0]}")
        _log.warning("%s runs without compiled code, several times slower: %s", name, reason)
