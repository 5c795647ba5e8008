"""Unpack zstd and lz4 piece by piece, and no more than is asked for: 192 kB can hold gigabytes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..exceptions import DataError
from ..files import MEGABYTE, open_regular

ZSTD = b"\x28\xb5\x2f\xfd"
MOST_CHUNK = 256 * MEGABYTE  # of a chunk or a message, unpacked: one is in memory as a whole
PACKED_RATIO = 1000  # of unpacked to packed bytes beyond which a file of more than ...
PACKED_SMALL = 256 * MEGABYTE  # ... was made to fill the disk
PIECE = MEGABYTE


def decompressed(data: bytes) -> bytes:
    """Return a message as it was before it was compressed, if it was; CDR never begins like zstd."""
    return unpacked(data, "zstd") if data.startswith(ZSTD) else data


def unpacked(data: bytes, compression: str, most: int = MOST_CHUNK) -> bytes:
    """Return as much of `data` as can be unpacked: a stream cut short gives what came before the cut.

    Nothing is returned of what has more than `most` bytes; `compression` other than zstd and lz4 is none.
    """
    if compression not in ("zstd", "lz4"):
        return data
    parts, size = [], 0
    for part in pieces([data], compression):
        size += len(part)
        if size > most:
            return b""
        parts.append(part)
    return b"".join(parts)


def unpacks_to_more(data: bytes, compression: str, size: int) -> bool:
    """Tell whether `data` has more than `size` bytes unpacked, without keeping more than a piece of them."""
    if compression == "zstd" and _declares(data, size):
        return False
    for part in pieces([data], compression):
        size -= len(part)
        if size < 0:
            return True
    return False


def unpack_file(path: Path, into: Path, most: int) -> None:
    """Write what a zstd file holds, as far as it is whole, to the file `into`.

    Raises
    ------
    DataError : it holds more than `most` bytes, or more than a file of its size can hold
    """
    size, done = path.stat().st_size, 0
    most = min(most, max(PACKED_SMALL, PACKED_RATIO * size))
    with open_regular(path) as file, into.open("wb") as out:
        for part in pieces(iter(lambda: file.read(PIECE), b""), "zstd"):
            done += len(part)
            if done > most:
                raise DataError(
                    f"{path} unpacks to more than {most / MEGABYTE:.0f} MiB ({size / MEGABYTE:.3g} MiB packed) and was "
                    "not read"
                )
            out.write(part)


def pieces(blocks: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """Yield what packed `blocks` hold, PIECE bytes at a time; end silently where they are damaged."""
    errors, make = (_zstd().ZstdError, _zstd().ZstdDecompressor) if compression == "zstd" else _lz4()
    decompressor = make()
    try:
        for block in blocks:
            rest = block
            while True:
                if decompressor.eof:  # another frame follows
                    decompressor = make()
                yield decompressor.decompress(rest, PIECE)
                rest = (decompressor.unused_data or b"") if decompressor.eof else b""
                if not rest if decompressor.eof else decompressor.needs_input:
                    break
    except (errors, EOFError):
        return


def _declares(data: bytes, size: int) -> bool:
    """Tell whether `data` is one frame that declares `size` unpacked bytes; its decoder gives no more then."""
    zstd = _zstd()
    try:
        return bool(zstd.get_frame_size(data) == len(data) and zstd.get_frame_info(data).decompressed_size == size)
    except zstd.ZstdError:
        return False


def _zstd() -> Any:
    """Return the module with zstd."""
    try:  # Python 3.14
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("backports.zstd")


def _lz4() -> tuple[type[Exception], Callable[[], Any]]:
    """Return the error and the maker of decompressors of lz4."""
    return RuntimeError, importlib.import_module("lz4.frame").LZ4FrameDecompressor
