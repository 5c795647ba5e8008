"""Functions of a robot and its costs that were built once, for machines that lack CasADi or a compiler.

Whoever needs a function says what it depends on (the robot, settings) and how it is built. `Units` builds it on the
spot; `RecordedUnits` notes it besides, as a description without CasADi; `StoredUnits`, read from a file of
`RecordedUnits`, take what was noted for the same role and the same inputs. The file is a zip archive of units.json and,
under lib/, the compiled libraries of everything that was asked for while it was recorded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from ..exceptions import ConfigurationError, DataError
from ..files import MEGABYTE, open_regular, written_whole
from .compiler import provide
from .library_folder import trusted_folder
from .numeric import CompiledFunction, InterpretedFunction, NumericFunction, describe
from .processor import MICROARCHITECTURES, NATIVE, missing_instructions, processor

T = TypeVar("T")
UNITS_FORMAT = 1
INDEX = "units.json"
LARGEST_INDEX, LARGEST_LIBRARY = 256 * MEGABYTE, 64 * MEGABYTE
MOST_DIFFERENCES = 3  # named in an error
# what a file that holds anything may raise while it is read, or its entries are used
MALFORMED = (zipfile.BadZipFile, zlib.error, AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError)
WRITERS = ("codegen", "collision", "costs", "dynamics", "planners", "robots")  # the rooms that write functions


class Units:
    """Builds every function where it is wanted."""

    def kept(
        self,
        role: str,
        inputs: Mapping[str, Any],
        build: Callable[[], T],
        describe: Callable[[T], Any],
        restore: Callable[[Any], T],
    ) -> T:
        """Return what `build` returns.

        Parameters
        ----------
        role, inputs
            What is built, and what it depends on: numbers, texts, arrays, dataclasses, and lists and mappings of them.
        build, describe, restore
            `describe` turns what was built into what JSON can hold, `restore` makes it again of that.
        """
        return build()

    def function(self, role: str, inputs: Mapping[str, Any], build: Callable[[], Any]) -> NumericFunction:
        """Return the CasADi function that `build` returns, to be evaluated; its outputs are dense."""

        def interpreted() -> NumericFunction:
            return InterpretedFunction(build())

        return self.kept(role, inputs, interpreted, describe, CompiledFunction)


class RecordedUnits(Units):
    """Builds every function where it is wanted, and notes what it is."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}

    def kept(
        self,
        role: str,
        inputs: Mapping[str, Any],
        build: Callable[[], T],
        describe: Callable[[T], Any],
        restore: Callable[[Any], T],
    ) -> T:
        """See `Units`."""
        built, plain = build(), identity(inputs)
        self.entries[_key(role, plain)] = {"role": role, "inputs": plain, "value": describe(built)}
        return built

    def write(self, path: Path, libraries: Mapping[str, Path], instruction_set: str) -> None:
        """Write the file that `read` reads; libraries: {key of their sources: file}, for an instruction set."""
        built = {
            "format": UNITS_FORMAT,
            "package": version("mbrl_ros"),
            "writers": writers_digest(),
            "machine": platform.machine(),
            "instruction_set": instruction_set,
            "processor": processor() if instruction_set == NATIVE else "",
        }
        digests = {key: hashlib.sha256(file.read_bytes()).hexdigest() for key, file in libraries.items()}
        index = {**built, "entries": self.entries, "libraries": digests}
        with written_whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(INDEX, json.dumps(index))
            for key, library in libraries.items():
                archive.write(library, f"lib/{key}.so")


class StoredUnits(Units):
    """Takes every function from a file; ConfigurationError where it is not in it."""

    def __init__(self, path: str, entries: Mapping[str, Mapping[str, Any]]):
        self._path, self._entries = path, entries

    def kept(
        self,
        role: str,
        inputs: Mapping[str, Any],
        build: Callable[[], T],
        describe: Callable[[T], Any],
        restore: Callable[[Any], T],
    ) -> T:
        """See `Units`."""
        plain = identity(inputs)
        entry = self._entries.get(_key(role, plain))
        if entry is None:
            raise ConfigurationError(
                f"'{self._path}' has no '{role}' of this robot and these settings: {self._difference(role, plain)}. "
                "Build it again with `mbrl build`",
                key="robot.units",
                value=self._path,
            )
        try:
            return restore(entry["value"])
        except MALFORMED as error:
            raise DataError(
                f"'{self._path}' is damaged: its '{role}' cannot be used ({type(error).__name__}: {error}). Write it "
                "again with `mbrl build`"
            ) from None

    def _difference(self, role: str, plain: Any) -> str:
        there = [entry["inputs"] for entry in self._entries.values() if entry["role"] == role]
        if not there:
            return "it was built of a configuration that needs none"
        here = dict(_leaves(plain))
        nearest = min((dict(_leaves(inputs)) for inputs in there), key=lambda other: len(_differing(here, other)))
        differing = _differing(here, nearest)
        named = [f"{key} is {here.get(key, 'absent')} here, {nearest.get(key, 'absent')} there" for key in differing]
        more = len(named) - MOST_DIFFERENCES
        return "; ".join(named[:MOST_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")


_reading = threading.Lock()
_read: dict[str, tuple[tuple[int, ...], StoredUnits]] = {}  # {path: what told the file from others, its content}


def read(path: str) -> StoredUnits:
    """Read a file of `RecordedUnits.write`, once while it stays as it is, and let its libraries be loaded.

    Raises DataError for a file that is none, was written by another version, or is damaged.
    """
    path = str(Path(path).expanduser())
    try:
        with _reading, open_regular(path) as file:
            status = os.fstat(file.fileno())
            version_of_file = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            known = _read.get(path)
            if known is None or known[0] != version_of_file:
                known = _read[path] = version_of_file, _content(path, file)
            return known[1]
    except (OSError, *MALFORMED) as error:
        raise DataError(f"cannot read the units '{path}': {error}. Write them with `mbrl build`") from None


def _content(path: str, file: BinaryIO) -> StoredUnits:
    with zipfile.ZipFile(file) as archive:
        index = json.loads(_member(archive, INDEX, LARGEST_INDEX))
        _check(path, index)
        for entry in index["entries"].values():
            if not (isinstance(entry["role"], str) and "value" in entry and isinstance(entry["inputs"], (dict, list))):
                raise ValueError("it has an entry that is none")
        if _runs_here(index):
            provide(dict(_extracted(archive, index["libraries"])))
        return StoredUnits(path, index["entries"])


def _check(path: str, index: Mapping[str, Any]) -> None:
    here = (UNITS_FORMAT, version("mbrl_ros"), writers_digest())
    if (index["format"], index["package"], index["writers"]) != here:
        raise DataError(
            f"the units '{path}' were built by mbrl_ros {index['package']} with other sources than those of this "
            f"installation ({here[1]}); build them again with `mbrl build` of this version"
        )


def _runs_here(index: Mapping[str, Any]) -> bool:
    """Return whether the libraries run on this machine; its compiler makes others where they do not."""
    if index["machine"] != platform.machine():
        return False
    if index["instruction_set"] == NATIVE:
        return bool(index["processor"] == processor())
    return index["instruction_set"] in MICROARCHITECTURES and not missing_instructions(index["instruction_set"])


def _extracted(archive: zipfile.ZipFile, digests: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    folder = trusted_folder() / "units"
    folder.mkdir(mode=0o700, exist_ok=True)
    for key, digest in digests.items():
        path = folder / f"{digest[:32]}.so"
        if not (path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest):
            content = _member(archive, f"lib/{key}.so", LARGEST_LIBRARY)
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError(f"the library {key} is damaged")
            _place(path, content)
        yield key, path


def _place(path: Path, content: bytes) -> None:
    """Write a library whole; several processes may write the same one, in containers with the same number too."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="extracted-") as folder:
        unfinished = Path(folder, path.name)
        unfinished.write_bytes(content)
        os.replace(unfinished, path)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as member:
        content = member.read(most + 1)  # not as much as the archive says that there is
    if len(content) > most:
        raise ValueError(f"{name} is larger than any of its kind")
    return content


@cache
def writers_digest() -> str:
    """Return a digest of the modules that write functions: another version may write others of the same inputs."""
    digest = hashlib.sha256()
    for room in WRITERS:
        for path in sorted(Path(str(files("mbrl_ros") / room)).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def identity(value: Any) -> Any:
    """Return what makes `value` this one and no other, as JSON can hold it.

    An object with a method `identity` is what that returns; a dataclass is its fields.
    """
    own = getattr(value, "identity", None)
    if own is not None:
        return identity(own())
    if dataclasses.is_dataclass(value):
        return {field.name: identity(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): identity(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return identity(value.tolist())
    if isinstance(value, (list, tuple)):
        return [identity(entry) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no identity")


class Digest:
    """Stands among inputs for something large, of which a digest is kept."""

    def __init__(self, value: Any):
        self._value = value

    def identity(self) -> str:
        """Return the digest of what `identity` returns of the value."""
        return hashlib.sha256(json.dumps(identity(self._value)).encode()).hexdigest()


def _key(role: str, plain: Any) -> str:
    return hashlib.sha256(json.dumps([role, plain], sort_keys=True).encode()).hexdigest()[:32]


def _leaves(plain: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(plain, Mapping):
        for key, value in plain.items():
            yield from _leaves(value, f"{name}.{key}" if name else key)
    else:
        yield name, plain


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    return [key for key in {**here, **there} if json.dumps(here.get(key)) != json.dumps(there.get(key))]
