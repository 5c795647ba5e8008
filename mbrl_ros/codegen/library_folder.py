"""Where compiled libraries are kept, and whether one may be loaded from there."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Return the folder of compiled libraries."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "mbrl_ros"


# looking for a temporary directory is an error of its own where no file can be written
FOLDERS: tuple[Callable[[], Path], ...] = (
    cache_directory,
    lambda: Path(tempfile.gettempdir()) / f"mbrl_ros-{os.getuid()}",
)


def trusted_folder() -> Path:
    """Make and return a folder for libraries that nobody else may write to; OSError where there is none."""
    for find in FOLDERS:
        with contextlib.suppress(OSError):
            if trusted(find()):
                return find()
    raise OSError("no directory for compiled code belongs to this user alone")


def trusted(directory: Path) -> bool:
    """Make `directory`; only one that is ours and that nobody else may write to is loaded from."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def load(path: Path) -> ctypes.PyDLL | None:
    """Return the cached library, or None if its digest shows that the file is damaged: loading that could crash."""
    try:
        if path.with_suffix(".sha256").read_text() == hashlib.sha256(path.read_bytes()).hexdigest():
            return ctypes.PyDLL(str(path))
    except (OSError, UnicodeDecodeError):
        return None
    return None
