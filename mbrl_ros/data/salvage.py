"""What can still be read of a bag that was cut off: messages in the order they were written, up to the damage.

sqlite3: rows by their key until a page is missing. mcap (https://mcap.dev/spec): a file is a sequence of records
`opcode (1 byte), length (8), content`; messages (0x05) stand alone or in chunks (0x06), their channels (0x04) and
schemas (0x03) before them. Neither the index nor the footer is needed.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .packed import ZSTD, decompressed, unpacked
from .storage_files import (
    ATTACHMENT,
    CHUNK,
    MAGIC,
    MOST_RECORD,
    SQLITE,
    check_tables,
    limit_work,
    start_of,
    storage_files,
)

LONGEST_RECORD = 2**40  # [bytes] a header that claims more is damaged itself

Raw = tuple[str, str, int, bytes]  # topic, message type, stamp [ns], serialized message


def salvaged(path: Path) -> Iterator[Raw]:
    """Yield every message that can be read from one storage file; end silently at the damage."""
    start = start_of(path)
    if start.startswith(ZSTD):
        with tempfile.TemporaryDirectory() as folder:
            for file in storage_files(path, Path(folder))[0]:
                if file.path != path:
                    yield from salvaged(file.path)
    elif start.startswith(MAGIC):
        yield from _mcap(path)
    elif start.startswith(SQLITE):
        with tempfile.TemporaryDirectory() as folder:
            yield from _sqlite(_full_length(path, Path(folder, path.name)))


def _full_length(path: Path, copy: Path) -> Path:
    """Copy the file with zeros in place of missing pages: sqlite opens no file shorter than its header says."""
    shutil.copyfile(path, copy)
    with copy.open("r+b") as file:
        header = file.read(100)
        if len(header) == 100:
            page, pages = struct.unpack_from(">H", header, 16)[0], struct.unpack_from(">I", header, 28)[0]
            length = (65536 if page == 1 else page) * pages
            if copy.stat().st_size < length <= LONGEST_RECORD:
                file.truncate(length)
    return copy


def _sqlite(path: Path) -> Iterator[Raw]:
    with contextlib.suppress(sqlite3.DatabaseError):
        check_tables(path, path)
    connection = sqlite3.connect(f"file:{path.absolute()}?mode=ro&immutable=1", uri=True)
    limit_work(connection, path.stat().st_size)
    try:
        topics = {
            row[0]: row[1:]
            for row in connection.execute("SELECT id, name, type FROM topics")
            if all(isinstance(text, str) for text in row[1:])
        }
        for topic, stamp, data in connection.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id"):
            if topic in topics and isinstance(stamp, int) and isinstance(data, bytes):  # damage changes types too
                yield *topics[topic], stamp, decompressed(data)
    except sqlite3.Error:
        return
    finally:
        connection.close()


def _mcap(path: Path) -> Iterator[Raw]:
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str]] = {}
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        for opcode, content in _records(file, path.stat().st_size):
            try:
                if opcode == CHUNK:
                    compression, records = _chunk(content)
                    records = unpacked(records, compression)
                    yield from _messages(_records(io.BytesIO(records), len(records)), schemas, channels)
                else:
                    yield from _messages([(opcode, content)], schemas, channels)
            except struct.error:  # a record too short for what it claims to be; the next may be whole
                continue


def _messages(
    records: Iterable[tuple[int, bytes]], schemas: dict[int, str], channels: dict[int, tuple[str, str]]
) -> Iterator[Raw]:
    """Yield the messages among `records`, and take note of schemas and channels."""
    for kind, record in records:
        if kind == 0x03:
            schemas[struct.unpack_from("<H", record)[0]] = _string(record, 2)[0]
        elif kind == 0x04:
            identity, schema = struct.unpack_from("<HH", record)
            channels[identity] = (_string(record, 4)[0], schemas.get(schema, ""))
        elif kind == 0x05:
            channel, _, stamp = struct.unpack_from("<HIQ", record)
            if channel in channels:
                yield *channels[channel], stamp, decompressed(record[22:])


def _records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield (opcode, content) from the present position of a file of `size` bytes on."""
    while len(head := file.read(9)) == 9:
        opcode, length = struct.unpack("<BQ", head)
        left = size - file.tell()
        if length > left:
            if opcode == CHUNK:
                yield opcode, file.read(min(left, MOST_RECORD))  # a chunk cut short still begins with whole messages
            return
        if opcode == ATTACHMENT or length > MOST_RECORD:
            file.seek(length, io.SEEK_CUR)
        elif opcode == 0 and length == 0:  # zeros, which a disk leaves where nothing was written
            return
        else:
            yield opcode, file.read(length)


def _chunk(content: bytes) -> tuple[str, bytes]:
    """Return compression and records of a chunk: start, end, size (8 each), crc (4), compression, length (8), rest."""
    compression, position = _string(content, 28)
    return compression, content[position + 8 :]


def _string(data: bytes, position: int) -> tuple[str, int]:
    length = struct.unpack_from("<I", data, position)[0]
    begin = position + 4
    return data[begin : begin + length].decode("utf-8", "replace"), begin + length
