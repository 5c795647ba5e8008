"""What the benches check of their options before they begin."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ..exceptions import ConfigurationError, nearest


def known(what: str, names: Iterable[str], choices: Collection[str]) -> tuple[str, ...]:
    """Return `names` without repetitions; ConfigurationError if one is none of `choices`."""
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in choices:
            raise ConfigurationError(
                f"no {what} '{name}'; did you mean '{nearest(name, list(choices))}'? There are: {', '.join(choices)}",
                value=name,
            )
    return found


def at_least(least: int, **options: int | None) -> None:
    """Raise ConfigurationError if an option is less than `least`; None: it is not given."""
    for name, value in options.items():
        if value is not None and value < least:
            raise ConfigurationError(f"--{name} must be at least {least}, got {value}", key=f"--{name}", value=value)


def writable(**files: Path | None) -> None:
    """Raise ConfigurationError if the file of an option cannot be written; None: it is not given."""
    for name, file in files.items():
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            why = "it is a folder" if file.is_dir() else f"there is no folder {file.parent}"
            raise ConfigurationError(f"--{name} {file} cannot be written: {why}", key=f"--{name}", value=str(file))
