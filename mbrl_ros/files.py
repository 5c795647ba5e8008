"""Read files that may be anything: only regular files, only so many bytes, never waiting. Write them whole.

A name given as a file may be a named pipe, which keeps a reader waiting for ever, a device such as /dev/zero, which has
no end, or a file larger than any of its kind. Each is an OSError with the reason as its text, which every reader of
files turns into its own one line.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MEGABYTE = 1 << 20
KINDS = (
    (stat.S_ISFIFO, "a named pipe; write its content into a file first"),
    (stat.S_ISCHR, "a device and no file"),
    (stat.S_ISBLK, "a device and no file"),
    (stat.S_ISSOCK, "a socket and no file"),
    (stat.S_ISDIR, "a folder and no file"),
)


def check_regular(path: str | Path) -> None:
    """Raise OSError unless `path` is a regular file, or a link to one; the error says what it is."""
    _check_kind(os.stat(path).st_mode)


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading; OSError for everything else, without waiting."""
    check_regular(path)  # opening a device may have effects of its own
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_kind(os.fstat(descriptor).st_mode)  # it may have been replaced since
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: str | Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes; OSError for everything else."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(most + 1)  # files of /proc say that they are empty
    if size > most or len(content) > most:
        raise OSError(f"larger than {most / MEGABYTE:g} MiB, which no such file is")
    return content


def read_text(path: str | Path, most: int) -> str:
    """Return the UTF-8 text of a regular file of at most `most` bytes, with plain line ends.

    Raises
    ------
    OSError : it is no such file
    UnicodeDecodeError : it is not UTF-8
    """
    return read_bytes(path, most).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all, whatever interrupts; its folder is made where it is missing.

    Raises OSError if the disk does not take it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, survives a power cut
    finally:
        os.close(folder)


def _check_kind(mode: int) -> None:
    for is_kind, what in KINDS:
        if is_kind(mode):
            raise OSError(f"it is {what}")
