"""Arrays on disk that are safe to read: npz without pickle, checksummed, refused for another robot.

A file holds a kind, what it belongs to (joint names, interface, period) and arrays. The checksum is SHA-256 over the
names, types, shapes and bytes of everything else in the file, in sorted order.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..types import Array

FORMAT = 1
LARGEST_FILE = 2 * 1024**3  # [bytes] uncompressed
PERIOD_TOLERANCE = 0.02  # a model of one tick's change holds for another period within this fraction


@dataclass(frozen=True)
class Owner:
    """What a file belongs to: joints in command order, the commands' interface, the period dt [s]."""

    joints: tuple[str, ...]
    interface: str
    dt: float


def save(path: str | Path, kind: str, owner: Owner, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file atomically: a reader sees the old file or the new one, never half of it.

    Raises
    ------
    DataError : an array is not finite or not numeric
    OSError : the disk does not take the file
    """
    content = {
        "kind": np.array(kind),
        "format": np.array(FORMAT),
        "joints": np.array(owner.joints),
        "interface": np.array(owner.interface),
        "dt": np.array(owner.dt),
        **{f"data.{name}": np.asarray(array) for name, array in arrays.items()},
    }
    compressed: Any = np.savez_compressed  # its stubs take the arrays' names for options
    for name, array in content.items():
        if array.dtype.hasobject or (array.dtype.kind == "f" and not np.isfinite(array).all()):
            raise DataError(f"{path}: '{name}' is not finite and was not saved")
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            compressed(file, checksum=np.array(_checksum(content)), **content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | Path, kind: str = "") -> tuple[str, Owner, dict[str, Array]]:
    """Read a file that `save` wrote: (kind, owner, arrays by name).

    Raises
    ------
    DataError : it is no such file, damaged, not of `kind` (where given), or not finite
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_FILE:
                raise DataError(f"{path} unpacks to more than {LARGEST_FILE / 1024**3:g} GiB and was not read")
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        checksum = str(content.pop("checksum"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; make it with 'mbrl fit-prior BAG... -o {path}'") from None
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        raise DataError(f"{path} is not a file made by mbrl_ros, or is damaged: {error}") from None
    if checksum != _checksum(content):
        raise DataError(f"{path} is damaged: its checksum does not fit; make it anew or copy it again")
    try:
        if int(content["format"]) > FORMAT:
            raise DataError(f"{path} was made by a newer version of mbrl_ros (format {int(content['format'])})")
        found = str(content["kind"])
        owner = Owner(tuple(map(str, content["joints"])), str(content["interface"]), float(content["dt"]))
    except KeyError as error:
        raise DataError(f"{path} was not made by mbrl_ros: {error} is missing") from None
    if kind and found != kind:
        raise DataError(f"{path} holds a '{found}', not a '{kind}'")
    arrays = {name[5:]: array for name, array in content.items() if name.startswith("data.")}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{path}: '{name}' is not finite")
    return found, owner, arrays


def check_owner(path: str | Path, owner: Owner, wanted: Owner) -> None:
    """Raise DataError, with the reason and the remedy, if a file of `owner` cannot be used by `wanted`."""
    if owner.joints != wanted.joints:
        raise DataError(
            f"{path} belongs to another robot: its joints are {list(owner.joints)}, this robot's "
            f"{list(wanted.joints)}. Fit a prior from this robot's own recordings"
        )
    if owner.interface != wanted.interface:
        raise DataError(f"{path} was made for the {owner.interface} interface, this robot has {wanted.interface}")
    if abs(owner.dt / wanted.dt - 1.0) > PERIOD_TOLERANCE:
        raise DataError(
            f"{path} was made for a period of {owner.dt:.6g} s ({1.0 / owner.dt:.4g} Hz), control runs at "
            f"{wanted.dt:.6g} s ({1.0 / wanted.dt:.4g} Hz); fit it with --rate {1.0 / wanted.dt:.4g}"
        )


def _checksum(content: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(content):
        array = np.ascontiguousarray(content[name])
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
