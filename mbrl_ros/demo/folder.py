"""A folder for every run: nothing is overwritten, and no old report stands beside new data."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from ..exceptions import ConfigurationError

HOME = Path("output/demo")
LATEST = "latest"  # a link beside the folders of runs


def checked(output: Path | None) -> None:
    """ConfigurationError if a run may not write to `output`."""
    if output is None or not output.exists():
        return
    if not output.is_dir():
        raise ConfigurationError(
            f"--output {output} is a file; name a new or an empty folder", key="output", value=str(output)
        )
    if any(output.iterdir()):
        raise ConfigurationError(
            f"--output {output} is not empty, and nothing is overwritten; name a new or an empty folder",
            key="output",
            value=str(output),
        )


def made(output: Path | None, seed: int) -> Path:
    """The run's folder, made and empty: `output`, or a new one in HOME named by time and seed, to which HOME/latest points."""
    if output is not None:
        checked(output)
        output.mkdir(parents=True, exist_ok=True)
        return output
    HOME.mkdir(parents=True, exist_ok=True)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"
    for number in range(1, 1000):
        folder = HOME / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            _point(HOME / LATEST, folder.name)
            return folder
    raise ConfigurationError(
        f"no folder could be made in {HOME}; name one with --output", key="output", value=str(HOME)
    )


def _point(link: Path, name: str) -> None:
    """`link` to the folder `name` beside it, in one step; a courtesy that not every file system allows."""
    if link.exists() and not link.is_symlink():
        return
    new = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        new.unlink(missing_ok=True)
        new.symlink_to(name, target_is_directory=True)
        os.replace(new, link)
