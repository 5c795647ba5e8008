"""Files that are safe to read: one JSON header and raw float64 arrays, checksummed, versioned, replaced atomically.

    mbrl_ros KIND VERSION | SHA-256 of the rest | length of the header | header, arrays (little endian)

The header is {"meta": ..., "arrays": {name: shape}}. Nothing in a file is ever executed, every size is checked before
memory is allocated, and a file that is cut, changed, of another kind or of another version is refused with its reason.
A writer that dies leaves the old file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataError
from ..files import read_bytes, written_whole
from ..types import Array

VERSION = 1
LARGEST_STORE = 1 << 30
MOST_HEADER = 1 << 20
LARGEST_ENTRY = 1e30  # no value of a policy or a sample is larger, and its square is still a number


def save(path: str | Path, kind: str, meta: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write everything or nothing. OSError if the disk does not take it."""
    content = dumps(kind, meta, arrays)
    with written_whole(path) as file:
        file.write(content)


def dumps(kind: str, meta: dict[str, Any], arrays: dict[str, Array]) -> bytes:
    """Return the content of such a file."""
    header = json.dumps({"meta": meta, "arrays": {name: list(np.shape(a)) for name, a in arrays.items()}}).encode()
    body = b"".join(np.ascontiguousarray(a, dtype="<f8").tobytes() for a in arrays.values())
    rest = str(len(header)).encode() + b"\n" + header + body
    return f"mbrl_ros {kind} {VERSION}\n{hashlib.sha256(rest).hexdigest()}\n".encode() + rest


def load(path: str | Path, kind: str, most: int = LARGEST_STORE) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return (meta, arrays) of a file of at most `most` bytes that `save` wrote for `kind`; DataError for any other."""

    def refuse(reason: str) -> DataError:
        return DataError(f"{path}: {reason}")

    try:
        content = read_bytes(path, most)
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    return _parsed(content, kind, refuse)


def loads(content: bytes, kind: str, most: int = LARGEST_STORE) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return (meta, arrays) of the bytes of a file, like `load`."""
    if len(content) > most:
        raise DataError(f"{kind}: larger than {most >> 20} MiB, which none is")
    return _parsed(content, kind, lambda reason: DataError(f"{kind}: {reason}"))


def _parsed(content: bytes, kind: str, refuse: Callable[[str], DataError]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return (meta, arrays); `refuse` makes the error of a reason."""
    parts = content.split(b"\n", 3)
    words = parts[0].split(b" ") if len(parts) == 4 else []
    if len(words) != 3 or words[0] != b"mbrl_ros":
        raise refuse(f"not a {kind} file of mbrl_ros")
    if words[1] != kind.encode():
        raise refuse(f"holds a {words[1][:20].decode(errors='replace')}, not a {kind}")
    if words[2] != str(VERSION).encode():
        raise refuse(f"has format version {words[2][:20].decode(errors='replace')}; this program reads {VERSION}")
    rest = content[len(parts[0]) + len(parts[1]) + 2 :]
    if hashlib.sha256(rest).hexdigest().encode() != parts[1]:
        raise refuse("damaged: its checksum does not match (cut short or changed)")
    try:
        length = int(parts[2]) if len(parts[2]) < 12 else -1
        if not 0 < length <= min(MOST_HEADER, len(parts[3])):
            raise ValueError("the header's length is wrong")
        header = json.loads(parts[3][:length], parse_constant=_refuse_constant)
        meta, shapes = header["meta"], header["arrays"]
        arrays: dict[str, Array] = {}
        at = length
        for name, shape in shapes.items():
            if len(shape) > 4 or not all(type(s) is int and 0 <= s <= LARGEST_STORE for s in shape):
                raise ValueError(f"array '{name[:40]}' has shape {str(shape)[:80]}")
            count = int(np.prod(shape, dtype=object))
            if at + 8 * count > len(parts[3]):
                raise ValueError(f"array '{name}' of shape {shape} ends outside the file")
            array = np.frombuffer(parts[3], "<f8", count, at).reshape(shape).astype(np.float64)
            if not (np.abs(array) <= LARGEST_ENTRY).all():  # NaN too
                raise ValueError(
                    f"array '{name[:40]}' holds values that are not finite, or larger than {LARGEST_ENTRY:g}"
                )
            arrays[name], at = array, at + 8 * count
        if at != len(parts[3]) or not isinstance(meta, dict):
            raise ValueError("its length does not fit its header")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise refuse(f"malformed: {str(error)[:200]}") from None
    return meta, arrays


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")
