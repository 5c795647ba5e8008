"""Arrays on disk that are safe to read: npz without pickle, checksummed, refused for another robot.

A file holds a kind, what it belongs to (joint names, interface, period) and arrays. The checksum is SHA-256 over the
names, types, shapes and bytes of everything else in the file, in sorted order.

Nothing is unpacked before the sizes that the archive and the arrays' headers declare agree with each other and are
within bounds: a file of 2 MB can declare that it unpacks to gigabytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..exceptions import DataError
from ..files import MEGABYTE, open_regular
from ..types import Array

FORMAT = 1
MOST_UNPACKED = 2048 * MEGABYTE  # of a file, in memory
MOST_OF_MODEL = 256 * MEGABYTE  # of a learned model: far less than of the data it was learned from
STORE_RATIO = 100  # of unpacked to packed bytes beyond which a file of more than ...
STORE_SMALL = 64 * MEGABYTE  # ... was made to fill the memory
MOST_ARRAYS = 1000
MODEL_JOINTS = 1000
LARGEST_QUANTITY = 1e30  # no measured or learned quantity is larger, and its square is still a number
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


def load(path: str | Path, kind: str = "", most: int = MOST_UNPACKED) -> tuple[str, Owner, dict[str, Array]]:
    """Read a file that `save` wrote: (kind, owner, arrays by name).

    Parameters
    ----------
    kind : that the file must be of; '': any
    most : bytes that its arrays may take in memory

    Raises
    ------
    DataError : it is no such file, damaged, too large, not of `kind`, or holds what is not finite or plausible
    """
    try:
        with open_regular(path) as file:
            content = _unpacked(file, path, most)
        checksum = str(content.pop("checksum"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; make it with 'mbrl fit-prior BAG... -o {path}'") from None
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds
        raise DataError(f"{path} is not a file made by mbrl_ros, or is damaged: {_line(error)}") from None
    if checksum != _checksum(content):
        raise DataError(f"{path} is damaged: its checksum does not fit; make it anew or copy it again")
    try:
        if int(content["format"]) > FORMAT:
            raise DataError(f"{path} was made by a newer version of mbrl_ros (format {int(content['format'])})")
        found = str(content["kind"])
        owner = Owner(tuple(map(str, content["joints"])), str(content["interface"]), float(content["dt"]))
    except KeyError as error:
        raise DataError(f"{path} was not made by mbrl_ros: {error} is missing") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path} was not made by mbrl_ros: {_line(error)}") from None
    if kind and found != kind:
        raise DataError(f"{path} holds a '{found[:40]}', not a '{kind}'")
    if not 0.0 < owner.dt < np.inf or not 0 < len(owner.joints) <= MODEL_JOINTS:
        raise DataError(f"{path} belongs to no robot: {len(owner.joints)} joints, a period of {owner.dt:g} s")
    arrays = {name[5:]: array for name, array in content.items() if name.startswith("data.")}
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not (np.abs(array) <= LARGEST_QUANTITY).all():  # NaN too
            raise DataError(f"{path}: '{name}' is not finite, or larger than {LARGEST_QUANTITY:g}")
    return found, owner, arrays


def _unpacked(file: BinaryIO, path: str | Path, most: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz by name; DataError, before anything is unpacked, if they are too large."""
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        declared = sum(entry.file_size for entry in entries)
        if declared > most or declared > max(STORE_SMALL, STORE_RATIO * size) or len(entries) > MOST_ARRAYS:
            raise DataError(
                f"{path} unpacks to {declared / MEGABYTE:.0f} MiB in {len(entries)} arrays ({size / MEGABYTE:.3g} MiB "
                "packed) and was not read"
            )
        for entry in entries:
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"'{entry.filename[:40]}' is compressed in another way")
            with archive.open(entry) as packed:
                _check_declared(packed, entry)
        content = {}
        for entry in entries:
            with archive.open(entry) as packed:
                array = np.lib.format.read_array(packed, allow_pickle=False)
            content[entry.filename.removesuffix(".npy")] = array.astype(array.dtype.newbyteorder("="), copy=False)
    return content


def _check_declared(packed: Any, entry: zipfile.ZipInfo) -> None:
    """Raise ValueError unless an array's header declares just what the archive declares, and numbers or text."""
    version = np.lib.format.read_magic(packed)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"'{entry.filename[:40]}' has format version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(packed)
    if dtype.kind not in "biufU" or (dtype.kind == "f" and dtype.itemsize > 8):
        raise ValueError(f"'{entry.filename[:40]}' holds {dtype}")
    values = int(np.prod(shape, dtype=object)) if all(0 <= width <= MOST_UNPACKED for width in shape) else -1
    if values < 0 or values * dtype.itemsize != entry.file_size - packed.tell():
        raise ValueError(f"'{entry.filename[:40]}' of shape {shape} does not fit its {entry.file_size} bytes")


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


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
