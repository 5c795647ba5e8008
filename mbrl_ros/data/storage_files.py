"""The storage files of a bag: found by what they begin with, unpacked, and checked before anything in them is believed.

A name tells nothing: `ros2 bag compress` writes bag.mcap.zstd, people write run.bin. What a file declares is checked
against its own size first: chunks and messages that unpack to more than memory holds, an index that speaks of other
chunks than there are, views and virtual tables in place of tables (a view can have rows without end), B-trees whose
pages contain each other. Such a bag is refused in one line; one whose index alone is wrong is read without it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..config.yaml_tree import LARGEST_YAML, Mapping, Node, Scalar, Sequence, tree
from ..exceptions import ConfigurationError, DataError
from ..files import MEGABYTE, check_regular, open_regular, read_text
from .packed import MOST_CHUNK, ZSTD, unpack_file, unpacks_to_more

MAGIC = b"\x89MCAP0\r\n"
SQLITE = b"SQLite format 3\x00"
NAMES = (".db3", ".mcap", ".zstd", ".zst")  # a file of such a name must be a storage file, or it is damaged
RESERVE = 512 * MEGABYTE  # that stays free on the disk that a bag is unpacked to
MOST_RECORD = MOST_CHUNK + MEGABYTE
MOST_OPEN = 4 * MOST_CHUNK  # of chunks whose times overlap: they are in memory together
MOST_TOPICS = 10_000
ATTACHMENT, CHUNK, CHUNK_INDEX = 0x09, 0x06, 0x08
_TABLES = re.compile(r"\s*CREATE\s+(TABLE|INDEX|UNIQUE\s+INDEX)\b", re.IGNORECASE)


class StorageFile(NamedTuple):
    """`path` has the suffix of what the file holds, .mcap or .db3; `problem`: why its index is not to be used."""

    path: Path
    problem: str = ""


def storage_files(bag: Path, folder: Path) -> tuple[list[StorageFile], list[str]]:
    """Return the storage files of a bag in order, unpacked or linked in `folder`, and notes on what is odd.

    Raises
    ------
    DataError : the bag is none, or holds what must not be read
    """
    files, notes = _found(bag)
    found = []
    for number, file in enumerate(files):
        path = _readable(file, folder, number)
        found.append(StorageFile(file, f"{file.name} is no storage file") if path is None else _checked(path, file))
    return found, notes


def start_of(path: Path) -> bytes:
    """Return the first bytes of a regular file; DataError in one line for everything else."""
    try:
        with open_regular(path) as file:
            return file.read(16)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error}") from None


def is_storage(start: bytes) -> bool:
    """Tell whether a file that begins with `start` is, or may hold, a storage file."""
    return start.startswith((MAGIC, SQLITE, ZSTD))


def _found(bag: Path) -> tuple[list[Path], list[str]]:
    """Return the files of a bag in the order of its metadata, or of their numbers, and notes."""
    if not bag.is_dir():
        return [bag], []
    entries = [entry for entry in bag.iterdir() if not entry.is_dir()]
    for entry in entries:
        try:
            check_regular(entry)
        except FileNotFoundError:  # a link to nothing
            continue
        except OSError as error:
            raise DataError(f"{entry} cannot be read: {error}") from None
    files = sorted(
        (
            entry
            for entry in entries
            if entry.is_file() and (entry.suffix in NAMES or is_storage(start_of(entry))) and entry.stat().st_size
        ),
        key=_natural,
    )
    listed, notes = _listed(bag)
    order = {name: i for i, name in enumerate(listed)}
    missing = [name for name in listed if not (bag / name).is_file()]
    if listed and not missing:
        return [bag / name for name in order], notes
    if missing and len(files) < len(order):
        notes.append(f"{len(missing)} of the {len(order)} files of metadata.yaml are missing, the first: {missing[0]}")
    return sorted(files, key=lambda file: order.get(file.name, len(order))), notes


def _listed(bag: Path) -> tuple[list[str], list[str]]:
    """Return the names in a bag's metadata.yaml, in order, and a note where they cannot be read."""
    try:
        text = read_text(bag / "metadata.yaml", LARGEST_YAML)
        node: Node | None = tree(text)[0]
        for key in ("rosbag2_bagfile_information", "relative_file_paths"):
            node = dict((k.text, v) for k, v in node.pairs).get(key) if isinstance(node, Mapping) else None
        items = node.items if isinstance(node, Sequence) else ()
        return [Path(item.text).name for item in items if isinstance(item, Scalar)], []
    except FileNotFoundError:
        return [], ["no metadata.yaml: read from its storage files"]
    except (OSError, UnicodeDecodeError, ConfigurationError, IndexError) as error:
        return [], [f"metadata.yaml cannot be read ({str(error).splitlines()[0][:200]}): read from its storage files"]


def _readable(file: Path, folder: Path, number: int) -> Path | None:
    """Return a path of the suffix of the file's content, unpacked where it is zstd; None for what is no storage."""
    source, start = file, start_of(file)
    if start.startswith(ZSTD):
        source = folder / f"{number}.unpacked"
        unpack_file(file, source, max(shutil.disk_usage(folder).free - RESERVE, 0))
        start = start_of(source)
    suffix = ".mcap" if start.startswith(MAGIC) else ".db3" if start.startswith(SQLITE) else ""
    if not suffix:
        return None
    link = folder / f"{number}{suffix}"
    link.symlink_to(source.absolute())
    return link


def _checked(path: Path, named: Path) -> StorageFile:
    """Return a storage file and what is wrong with its index; DataError if nothing of it is to be read."""
    if path.suffix == ".mcap":
        with path.open("rb") as file:
            return StorageFile(path, _mcap_problem(file, path.stat().st_size, named))
    with contextlib.suppress(sqlite3.DatabaseError):  # damaged: what is left is salvaged
        check_tables(path, named)
    return StorageFile(path)


# --- mcap (https://mcap.dev/spec): records of opcode (1 byte), length (8), content ----------------------------------


class _Chunk(NamedTuple):
    """What a chunk and its index must agree on."""

    start: int
    end: int
    length: int
    compression: bytes
    packed: int
    unpacked: int


def _mcap_problem(file: BinaryIO, size: int, named: Path) -> str:
    chunks: dict[int, _Chunk] = {}
    indexed: dict[int, _Chunk] = {}
    try:
        for opcode, position, length in _heads(file, size):
            if length > MOST_RECORD and opcode != ATTACHMENT:
                raise DataError(f"{named} holds a record of {length / MEGABYTE:.0f} MiB and was not read")
            if opcode == CHUNK:
                chunks[position - 9] = _checked_chunk(file.read(length), named)
            elif opcode == CHUNK_INDEX:
                at, chunk = _index_of(file.read(length))
                if at in indexed or chunks.get(at) != chunk:
                    return "its index does not fit its chunks"
                indexed[at] = chunk
    except struct.error:
        return ""  # damaged, as the reader will find
    ends = sorted(
        [(c.start, c.unpacked) for c in indexed.values()] + [(c.end + 1, -c.unpacked) for c in indexed.values()]
    )
    together = 0
    for _, change in ends:
        together += change
        if together > MOST_OPEN:
            return f"its chunks overlap in time, by more than {MOST_OPEN / MEGABYTE:.0f} MiB"
    return ""


def _heads(file: BinaryIO, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (opcode, position of the content, its length) of every whole record."""
    position = len(MAGIC)
    while True:
        file.seek(position)
        head = file.read(9)
        if len(head) < 9:
            return
        opcode, length = struct.unpack("<BQ", head)
        position += 9
        if opcode == 0 or position + length > size:
            return
        yield opcode, position, length
        position += length


def _checked_chunk(content: bytes, named: Path) -> _Chunk:
    """Return what a chunk says of itself; DataError if it holds more, or more than memory should hold."""
    start, end, size, _, letters = struct.unpack_from("<QQQII", content)
    compression = content[32 : 32 + letters]
    packed = struct.unpack_from("<Q", content, 32 + letters)[0]
    if size > MOST_CHUNK:
        raise DataError(
            f"{named} holds a chunk that unpacks to {size / MEGABYTE:.0f} MiB, more than {MOST_CHUNK // MEGABYTE} MiB; "
            "it was not read"
        )
    data = content[40 + letters : 40 + letters + packed]
    if compression in (b"zstd", b"lz4") and unpacks_to_more(data, compression.decode(), size):
        raise DataError(
            f"{named} holds a chunk that unpacks to more than the {size} bytes it declares, and was not read"
        )
    return _Chunk(start, end, 9 + len(content), compression, packed, size)


def _index_of(content: bytes) -> tuple[int, _Chunk]:
    """Return where the chunk of a chunk index begins, and what the index says of it."""
    start, end, at, length, offsets = struct.unpack_from("<QQQQI", content)
    letters = struct.unpack_from("<I", content, 36 + offsets + 8)[0]
    compression = content[48 + offsets : 48 + offsets + letters]
    packed, size = struct.unpack_from("<QQ", content, 48 + offsets + letters)
    return at, _Chunk(start, end, length, compression, packed, size)


# --- sqlite ---------------------------------------------------------------------------------------------------------


def check_tables(path: Path, named: Path) -> None:
    """Raise DataError unless a database holds ordinary tables, whose rows fit into the file's size.

    sqlite3.DatabaseError where the file is damaged.
    """
    size = path.stat().st_size
    connection = sqlite3.connect(f"file:{path.absolute()}?mode=ro&immutable=1", uri=True)
    try:
        limit_work(connection, size)
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_master"):
            if sql is not None and not _TABLES.match(str(sql)):
                raise DataError(f"{named}: '{str(name)[:40]}' is no table; a bag holds no views and no virtual tables")
        for table in ("topics", "messages", "message_definitions", "schema"):
            columns = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
            if any(column[6] in (2, 3) for column in columns):
                raise DataError(f"{named}: '{table}' holds columns that are computed; those of a bag are not")
        topics = connection.execute("SELECT count(id + 0) FROM topics").fetchone()[0]
        count, longest = connection.execute("SELECT count(id + 0), max(length(data)) FROM messages").fetchone()
        connection.execute("SELECT max(timestamp + id) FROM messages").fetchone()
        if topics > MOST_TOPICS or count > size or (longest or 0) > MOST_CHUNK:
            raise DataError(
                f"{named} holds {topics} topics and {count} messages of up to {longest} bytes: more than a bag may"
            )
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise DataError(f"{named} has more rows than its {size} bytes can hold and was not read") from None
        raise
    finally:
        connection.close()


def limit_work(connection: sqlite3.Connection, size: int) -> None:
    """Interrupt a query that takes more steps than the rows of a file of `size` bytes can need."""
    calls, most, each = 0, 100 + size // 1000, 10_000

    def too_much() -> bool:
        nonlocal calls
        calls += 1
        return calls > most

    connection.set_progress_handler(too_much, each)


def _natural(file: Path) -> tuple[str, int]:
    """Return a sorting key that puts bag_2 before bag_10."""
    parts = file.name.split(".")[0].rsplit("_", 1)
    number = int(parts[1]) if len(parts) == 2 and parts[1].isdigit() and len(parts[1]) < 20 else -1
    return (parts[0], number) if number >= 0 else (file.name, -1)
