"""A folder for every run, so that nothing is overwritten and no old report lies beside new data."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from ..exceptions import ConfigurationError

RUNS_FOLDER = Path("output/demo")
LATEST_LINK = "latest"  # a link beside the folders of runs


def checked(output: Path | None) -> None:
    """Raise ConfigurationError if a run may not write to `output`."""
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
    """Make the empty folder of a run: `output`, or a new one in RUNS_FOLDER named by time and seed.

    RUNS_FOLDER/latest then points to it.
    """
    if output is not None:
        checked(output)
        output.mkdir(parents=True, exist_ok=True)
        return output
    RUNS_FOLDER.mkdir(parents=True, exist_ok=True)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-seed{seed}"
    for number in range(1, 1000):
        folder = RUNS_FOLDER / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            _point(RUNS_FOLDER / LATEST_LINK, folder.name)
            return folder
    raise ConfigurationError(
        f"no folder could be created in {RUNS_FOLDER}; name one with --output", key="output", value=str(RUNS_FOLDER)
    )


def _point(link: Path, name: str) -> None:
    """Let `link` point to the folder `name` beside it, in one step, where the file system allows it."""
    if link.exists() and not link.is_symlink():
        return
    new = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        new.unlink(missing_ok=True)
        new.symlink_to(name, target_is_directory=True)
        os.replace(new, link)
