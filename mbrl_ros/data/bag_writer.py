"""Write a rosbag2 that rotates: storage files of bounded size, the oldest deleted; `ros2 bag play` can always read it.

Each part is written separately and, when full, moved into the bag's folder and listed in metadata.yaml, which is
replaced in one piece. What was written is on disk within a second or so: a recorder that is killed loses no more, and
`mbrl replay` also reads the part that was not closed. An error of the disk ends the part, and is not raised.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..exceptions import DataError
from .salvage import salvaged

FLUSH_PERIOD = 1.0  # [s]
RETRY = 5.0  # [s] between attempts to write again to a disk that was full
OVERHEAD = 64  # [bytes] of a message besides its content
MB = 1e6
DISK_ERRORS = (OSError, sqlite3.Error)  # SQLite has errors of its own for a full disk


@dataclass(frozen=True)
class Limits:
    """Sizes [MB]: part_mb of a storage file; total_mb of all together; min_free_mb: what stays free on the disk."""

    part_mb: float = 64.0
    total_mb: float = 1024.0
    min_free_mb: float = 512.0


@dataclass
class _Topic:
    kind: str
    qos: Sequence[Any]
    latched: bool
    last: tuple[int, bytes] | None = None  # repeated at the beginning of each part, so that parts stand alone
    connection: Any = field(default=None, repr=False)


class RotatingBag:
    """A bag of several storage files: `add_topic` for every topic, then `write`, at last `close`.

    Parameters
    ----------
    folder : of the bag; it must not exist
    storage : mcap or sqlite3
    compress : with zstd, by chunk (mcap) or by file
    limits : sizes
    warn : called with a sentence when writing is interrupted and when it goes on
    free : free space [bytes] of the disk that holds a path

    Attributes
    ----------
    written, lost : numbers of messages

    Raises
    ------
    DataError : the folder exists or cannot be made
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        storage: str = "mcap",
        compress: bool = False,
        limits: Limits | None = None,
        warn: Callable[[str], None] = print,
        free: Callable[[Path], float] | None = None,
    ):
        from rosbags.typesys import Stores, get_typestore

        self.folder, self._storage, self._compress = Path(folder), storage, compress
        self._limits, self._warn = limits or Limits(), warn
        self._free = free or (lambda path: shutil.disk_usage(path).free)
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._topics: dict[str, _Topic] = {}
        self._parts: list[dict[str, Any]] = []  # metadata of the parts in the bag, oldest first
        self._number = 0
        self._writer: Any = None
        self._work = self.folder / f".{self.folder.name}_0"  # where the present part is written
        self._used, self._flushed, self._resume = 0, 0.0, 0.0
        self._unsafe = 0  # messages written since the last flush
        self._paused = False
        self.written = self.lost = 0
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            raise DataError(f"{self.folder} exists already; choose another folder for the recording") from None
        except OSError as error:
            raise DataError(f"{self.folder} cannot be made: {error}") from None

    def add_topic(self, name: str, kind: str, qos: Sequence[Any] = (), latched: bool = False) -> bool:
        """Add a topic of type `kind`; return whether its messages can be written (a definition must be known).

        The newest message of a `latched` topic is repeated at the beginning of each part.
        """
        if kind not in self._typestore.fielddefs:
            return False
        self._topics[name] = _Topic(kind, qos, latched)
        return True

    def write(self, topic: str, stamp: int, data: bytes) -> None:
        """Write a serialized message received at `stamp` [ns], or count it in `lost` while the disk is full."""
        entry = self._topics[topic]
        if entry.latched:
            entry.last = (stamp, data)
        now = time.monotonic()
        if self._paused and now < self._resume:
            self.lost += 1
            return
        self.written, self._unsafe = self.written + 1, self._unsafe + 1
        try:
            if self._writer is None and not self._open(stamp, now):
                self._count_lost()
                return
            self._put(entry, topic, stamp, data)
            if now - self._flushed > FLUSH_PERIOD:
                self._flush(now)
            if self._used > MB * self._limits.part_mb:
                self._close_part()
        except DISK_ERRORS as error:
            self._abandon(f"recording interrupted: {error}", now)

    def close(self) -> None:
        """Finish the last part."""
        try:
            self._close_part()
        except DISK_ERRORS as error:
            self._abandon(f"the last part of the recording was not finished: {error}", time.monotonic())

    # --- parts ------------------------------------------------------------------------------------------------------

    def _open(self, stamp: int, now: float) -> bool:
        """Begin a part; False while the disk is too full for it."""
        from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
        from rosbags.rosbag2.enums import CompressionFormat

        self._make_room()
        if self._free(self.folder) < MB * self._limits.min_free_mb:
            self._pause(
                f"recording pauses: less than {self._limits.min_free_mb:g} MB are free on the disk of {self.folder}",
                now,
            )
            return False
        self._work = self.folder / f".{self.folder.name}_{self._number}"
        shutil.rmtree(self._work, ignore_errors=True)
        # players of every distribution since Humble read version 8; Humble cannot read the quality of service of 9
        writer = Writer(self._work, version=8, storage_plugin=StoragePlugin[self._storage.upper()])
        if self._compress:
            writer.set_compression(
                CompressionMode.STORAGE if self._storage == "mcap" else CompressionMode.FILE, CompressionFormat.ZSTD
            )
        writer.open()
        self._writer, self._used, self._flushed = writer, 0, now
        for name, entry in list(self._topics.items()):
            entry.connection = None
            if entry.last is not None and entry.last[0] < stamp:
                self._put(entry, name, stamp, entry.last[1])
        if self._paused:
            self._paused = False
            self._warn(f"recording goes on; {self.lost} messages were lost so far")
        return True

    def _put(self, entry: _Topic, topic: str, stamp: int, data: bytes) -> None:
        if entry.connection is None:
            entry.connection = self._writer.add_connection(
                topic, entry.kind, typestore=self._typestore, offered_qos_profiles=entry.qos
            )
        self._writer.write(entry.connection, stamp, data)
        self._used += len(data) + OVERHEAD

    def _flush(self, now: float) -> None:
        """Onto the disk, as far as the storage lets one: mcap by chunk, sqlite by transaction."""
        self._flushed = now
        storage = self._writer.storage
        if self._storage == "mcap":
            storage.close_chunk()
            storage.bio.flush()
        else:
            storage.conn.commit()
        self._unsafe = 0
        if self._free(self.folder) < MB * self._limits.min_free_mb:
            self._close_part()
            self._pause(
                f"recording pauses: less than {self._limits.min_free_mb:g} MB are free on the disk of {self.folder}",
                now,
            )

    def _close_part(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer, self._unsafe = None, 0
        information = _information(self._work)
        stored = Path(information["relative_file_paths"][0])
        name = f"{self.folder.name}_{self._number}{''.join(stored.suffixes)}"
        os.replace(self._work / stored, self.folder / name)
        information["files"][0]["path"] = name
        shutil.rmtree(self._work)
        self._parts.append(information)
        self._number += 1
        self._list()

    def _make_room(self) -> None:
        """Delete the oldest parts so that another one fits."""
        most = MB * max(self._limits.total_mb - self._limits.part_mb, 0.0)
        while len(self._parts) > 1 and sum(self._size(part) for part in self._parts) > most:
            oldest = self._parts.pop(0)
            self._list()
            (self.folder / oldest["files"][0]["path"]).unlink(missing_ok=True)

    def _size(self, part: dict[str, Any]) -> int:
        try:
            return Path(self.folder, part["files"][0]["path"]).stat().st_size
        except OSError:
            return 0

    def _list(self) -> None:
        import yaml

        temporary = self.folder / ".metadata.yaml"
        temporary.write_text(
            yaml.safe_dump({"rosbag2_bagfile_information": merged(self._parts)}, sort_keys=False), encoding="utf-8"
        )
        os.replace(temporary, self.folder / "metadata.yaml")

    def _abandon(self, text: str, now: float) -> None:
        """Leave the part as it is; what is in it can still be read."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(Exception):  # it is being abandoned because something failed
                writer.abort()
            for file in self._work.glob(f"*.{'mcap' if self._storage == 'mcap' else 'db3'}"):
                # a disk that stays full would fill the folder with empty ones
                if next(salvaged(file), None) is not None:
                    left = self.folder / f"{self.folder.name}_{self._number}.unfinished{file.suffix}"
                    os.replace(file, left)
                    text += f"; what came so far is in {left.name}"
                    self._number += 1
            shutil.rmtree(self._work, ignore_errors=True)
        self._count_lost()
        self._pause(text, now)

    def _count_lost(self) -> None:
        """Count what was written since the last flush as lost."""
        self.lost, self.written, self._unsafe = self.lost + self._unsafe, self.written - self._unsafe, 0

    def _pause(self, text: str, now: float) -> None:
        if not self._paused:
            self._warn(text)
        self._paused, self._resume = True, now + RETRY


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the metadata of one bag of several storage files."""
    begin = min(part["starting_time"]["nanoseconds_since_epoch"] for part in parts)
    end = max(part["starting_time"]["nanoseconds_since_epoch"] + part["duration"]["nanoseconds"] for part in parts)
    topics: dict[str, dict[str, Any]] = {}
    for part in parts:
        for entry in part["topics_with_message_count"]:
            known = topics.setdefault(entry["topic_metadata"]["name"], {**entry, "message_count": 0})
            known["message_count"] += entry["message_count"]
    return {
        **parts[-1],
        "relative_file_paths": [part["files"][0]["path"] for part in parts],
        "starting_time": {"nanoseconds_since_epoch": begin},
        "duration": {"nanoseconds": end - begin},
        "message_count": sum(part["message_count"] for part in parts),
        "topics_with_message_count": list(topics.values()),
        "files": [part["files"][0] for part in parts],
    }


def _information(folder: Path) -> dict[str, Any]:
    import yaml

    information: dict[str, Any] = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = information["rosbag2_bagfile_information"]
    return found
