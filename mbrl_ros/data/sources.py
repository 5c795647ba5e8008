"""Read a recording, whatever format it is in: which one, the file's content tells.

A format is a module with `recognizes(path, start)` and `read(path, options)`, listed in FORMATS.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..exceptions import DataError
from . import bags, tables
from .recording import ReadOptions, Recording
from .storage_files import start_of


class RecordingFormat(Protocol):
    """A file format of recordings."""

    def recognizes(self, path: Path, start: bytes) -> bool:
        """Return whether `path` (a folder, or a file that begins with `start`) is in this format."""

    def read(self, path: Path, options: ReadOptions) -> Recording:
        """Return the recording at `path`; DataError tells what it lacks."""


FORMATS: tuple[RecordingFormat, ...] = (bags, tables)


def load(path: str | Path, options: ReadOptions | None = None) -> Recording:
    """Return the recording at `path`: a rosbag2 folder or storage file, or a CSV(.gz) table.

    Raises
    ------
    DataError : there is no such file, it is in neither format, or it lacks what a recording needs
    """
    path, options = Path(path), options or ReadOptions()
    start = _start(path)
    for kind in FORMATS:
        if kind.recognizes(path, start):
            return kind.read(path, options)
    if start.startswith(b"#ROSBAG V2"):
        raise DataError(
            f"{path} is a ROS 1 bag; convert it: pip install rosbags; rosbags-convert --src {path.name} --dst bag2"
        )
    raise DataError(f"{path} is neither a rosbag2 (.db3, .mcap, a folder) nor a table (.csv, .csv.gz)")


def _start(path: Path) -> bytes:
    """Return the first bytes of a file, none of a folder; DataError if it is missing, unreadable or empty."""
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.is_dir():
        return b""
    start = start_of(path)
    if not start:
        raise DataError(f"{path} is empty")
    return start
