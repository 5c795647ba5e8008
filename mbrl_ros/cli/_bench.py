"""What the benches do before they begin: check their options, and settle on one thread."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from ..exceptions import ConfigurationError, unknown

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def known(what: str, names: Iterable[str], choices: Collection[str]) -> tuple[str, ...]:
    """Return `names` without repetitions; ConfigurationError if one is none of `choices`."""
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in choices:
            raise unknown(what, name, choices)
    return found


def writable(**files: Path | None) -> None:
    """Raise ConfigurationError if the file of an option cannot be written; None: it is not given."""
    for name, file in files.items():
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            why = "it is a folder" if file.is_dir() else f"there is no folder {file.parent}"
            raise ConfigurationError(f"--{name} {file} cannot be written: {why}", key=f"--{name}", value=str(file))


def one_thread() -> None:
    """Let numpy compute in one thread, unless the environment says otherwise: the arrays are small.

    It must not have been imported before.
    """
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
