"""C++ to a loaded shared library, once per source, compiler and processor.

A library is kept under $XDG_CACHE_HOME/mbrl_ros (default ~/.cache), named by a hash of its sources, flags, compiler
version and processor, and moved into place by an atomic rename, so that several processes may build the same one.
A library of the same sources that was built elsewhere is taken first (`provide`, units.py).
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
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..exceptions import CompileError
from .library_folder import FOLDERS, load, trusted
from .processor import processor

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
# of each library, by the key of its sources: one thread builds it, and the others wait for it
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_provided: dict[str, Path] = {}  # {key of its sources: a library that was built elsewhere}


@dataclass(frozen=True)
class Request:
    """What `load_library` was asked for."""

    name: str
    sources: Mapping[str, str]
    flags: tuple[str, ...]

    @property
    def key(self) -> str:
        """What names the library, wherever it is compiled."""
        return source_key(self.sources, self.flags)


_requests: dict[str, Request] | None = None  # None: not wanted


class CompilerFailed(CompileError):
    """The compiler ran and refused; holds the first lines of its messages."""


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
    key = source_key(sources, flags)
    with _locks[key]:
        if _requests is not None:
            _requests[key] = Request(name, dict(sources), tuple(flags))
        return _built_elsewhere(name, key) or _load_or_build(name, sources, flags)


def source_key(sources: Mapping[str, str], flags: Sequence[str] = ()) -> str:
    """Return what names a library wherever it is compiled: a digest of its sources and flags."""
    return hashlib.sha256(repr((sorted(sources.items()), FLAGS, tuple(flags))).encode()).hexdigest()[:32]


def provide(libraries: Mapping[str, Path]) -> None:
    """Let `load_library` take libraries that were built elsewhere: {key of the sources: its file}."""
    _provided.update(libraries)


@contextlib.contextmanager
def noted_requests() -> Iterator[dict[str, Request]]:
    """Note what `load_library` is asked for meanwhile: {key of the sources: the request}."""
    global _requests
    _requests = {}
    try:
        yield _requests
    finally:
        _requests = None


@contextlib.contextmanager
def loading(libraries: Iterable[Callable[[], object]]) -> Iterator[None]:
    """Call each of `libraries` in a thread of its own meanwhile: compilers run beside what the caller does."""
    thread = threading.Thread(target=lambda: [load() for load in libraries], name="compile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _built_elsewhere(name: str, key: str) -> ctypes.PyDLL | None:
    if key not in _provided:
        return None
    try:
        return ctypes.PyDLL(str(_provided[key]))
    except OSError as error:
        _log.warning("the library of %s that was built elsewhere cannot be loaded (%s)", name, error)
        return None


def _load_or_build(name: str, sources: Mapping[str, str], flags: Sequence[str]) -> ctypes.PyDLL | None:
    compiler = find_compiler()
    if compiler is None:
        _log_fallback(name, "there is no C++ compiler (install g++, or name one in $CXX)")
        return None
    key = _key(sources, flags, compiler)
    reason = "no directory for compiled code belongs to this user alone"
    for find in FOLDERS:
        try:
            directory = find()
            path = directory / f"{name}-{key}.so"
            if not trusted(directory):
                continue
            library = load(path) if path.exists() else None
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


def _key(sources: Mapping[str, str], flags: Sequence[str], compiler: str) -> str:
    parts = [
        repr(sorted(sources.items())),
        repr((FLAGS, FLAG_VARIANTS, tuple(flags))),
        compiler,
        _compiler_version(compiler),
        processor(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def build_for(request: Request, folder: Path, instruction_set: str) -> Path:
    """Compile a library into `folder` for an instruction set of processor.py; return its file.

    Raises CompileError where there is no compiler, or it refuses.
    """
    compiler = find_compiler()
    if compiler is None:
        raise CompileError("there is no C++ compiler (install g++, or name one in $CXX)")
    target, path = f"-march={instruction_set}", folder / f"{request.name}-{request.key}.so"
    variants = ((target, "-DLIBMVEC", "-lmvec", "-lm"), (target, "-lm"))
    _build(path, request.sources, compiler, request.flags, variants)
    return path


def _build(
    path: Path,
    sources: Mapping[str, str],
    compiler: str,
    flags: Sequence[str],
    variants: Sequence[Sequence[str]] = FLAG_VARIANTS,
) -> None:
    _log.info("compiling %s (once; it is kept in %s)", path.stem, path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="build-") as folder:
        for file, text in sources.items():
            Path(folder, file).write_text(text)
        units = [file for file in sources if file.endswith(".cpp")]
        for variant in variants:  # libraries stand last
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
