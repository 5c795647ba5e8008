"""Where the files behind a URDF's mesh URIs stand."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from ..exceptions import RobotDescriptionError
from .urdf import package_data_root


def find_mesh(uri: str, folder: Path | None, formats: Collection[str]) -> Path | None:
    """The file behind `uri` (package://, file:// or a path relative to `folder`), if it is there and in `formats`."""
    if uri.startswith("package://"):
        package, _, path = uri[len("package://"):].partition("/")
        prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        shares = [Path(prefix) / "share" / package for prefix in prefixes if prefix]
        if package == "example-robot-data":
            try:
                shares.append(package_data_root())
            except RobotDescriptionError:
                return None
        candidates = [share / path for share in shares]
    else:
        path = Path(uri.removeprefix("file://"))
        candidates = [path if folder is None else folder / path]
    found = (file for file in candidates if file.suffix.lower() in formats and file.is_file())
    return next(found, None)
