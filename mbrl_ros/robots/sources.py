"""Where the text of a robot description comes from: URDF text itself, a file, or a robot of example-robot-data."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..exceptions import RobotDescriptionError, nearest
from ..files import read_bytes
from .document import LARGEST_DESCRIPTION, text_of

PACKAGE_DATA, FILE, PACKAGE = "package-data:", "file://", "package://"
ROBOT_DATA = "example-robot-data"  # the package on PyPI, and its folder under share


def read(source: str) -> str:
    """Return the text of a robot description.

    Parameters
    ----------
    source : XML text, the path of a file, a file:// or package:// URI, or 'package-data:NAME'

    Raises
    ------
    RobotDescriptionError : there is no such file or robot, it cannot be read, or it is an unexpanded xacro
    """
    source = source.lstrip("\ufeff").strip()
    if source.startswith("<"):
        return source
    if not source:
        raise RobotDescriptionError("no robot description: give a URDF file, its text, or 'package-data:NAME'")
    path = path_of(source)
    try:
        content = read_bytes(path, LARGEST_DESCRIPTION)
    except (OSError, ValueError) as error:
        raise RobotDescriptionError(
            f"cannot read the robot description '{path}': {error}. Give an existing URDF file, "
            f"URDF text, or 'package-data:NAME' (a robot of example-robot-data)"
        ) from None
    if path.suffix == ".xacro":
        raise RobotDescriptionError(f"'{path}' is a xacro; expand it first: xacro {path.name} > robot.urdf")
    try:
        return text_of(content)
    except RobotDescriptionError as error:
        raise RobotDescriptionError(f"cannot read the robot description '{path}': {error}") from None


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Begin the message of a RobotDescriptionError with `source`, a file or what names one, where it lacks it."""
    try:
        yield
    except RobotDescriptionError as error:
        if source.lstrip().startswith("<") or source in str(error):
            raise
        raise RobotDescriptionError(f"{source}: {error}") from None


def path_of(source: str) -> Path:
    """Return the path of the file of `source`, a path or a URI; RobotDescriptionError if there is none."""
    if source.startswith(PACKAGE_DATA):
        return package_data(source[len(PACKAGE_DATA) :])
    if source.startswith(FILE):
        uri = urlsplit(source)
        if uri.netloc not in ("", "localhost"):
            raise RobotDescriptionError(f"'{source}' names the host '{uri.netloc}'; write file:///PATH, three slashes")
        return Path(unquote(uri.path))
    if source.startswith(PACKAGE):
        package, _, inside = source[len(PACKAGE) :].partition("/")
        prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
        candidates = [Path(prefix, "share", package, inside) for prefix in prefixes]
        found = next((file for file in candidates if file.is_file()), None)
        if found is None:
            raise RobotDescriptionError(
                f"'{source}' is in no package of this environment; source the workspace that holds '{package}', or "
                "give the path of the file"
            )
        return found
    return Path(source).expanduser()


def folder_of(source: str) -> Path | None:
    """Return the folder of a robot description, which relative names of meshes refer to.

    None for its text, and where its file is on another machine.
    """
    if not source or source.lstrip().startswith("<"):
        return None
    try:
        return path_of(source).parent
    except RobotDescriptionError:
        return None


def package_data(name: str) -> Path:
    """Return the URDF of robot `name` in the PyPI package example-robot-data: NAME.urdf or NAME_robot.urdf."""
    roots = package_data_roots()
    if not roots:
        raise RobotDescriptionError(
            f"'package-data:' needs the package {ROBOT_DATA}, which is not installed: "
            f"pip install {ROBOT_DATA} (or pip install 'mbrl_ros[robots]'), or give a URDF file"
        )
    files = {path.stem: path for root in reversed(roots) for path in sorted(root.glob("robots/*/*/*.urdf"))}
    for stem in (name, f"{name}_robot"):
        if stem in files:
            return files[stem]
    whole = "" if _installed_data() else f"; that is a part of it, for all robots: pip install {ROBOT_DATA}"
    raise RobotDescriptionError(
        f"{ROBOT_DATA} has no robot '{name}'; did you mean '{nearest(name, files)}'? It has {sorted(files)}{whole}"
    )


def package_data_roots() -> list[Path]:
    """Return the folders of example-robot-data that are there, the first first.

    The installed package's is found without importing it; share/example-robot-data of the environment holds the
    part that install.py takes out of the package.
    """
    part = Path(sys.prefix, "share", ROBOT_DATA)
    return [root for root in (_installed_data(), part) if root is not None and root.is_dir()]


def _installed_data() -> Path | None:
    """Return the folder of the installed package, None where it is not installed."""
    try:
        files = importlib.metadata.files(ROBOT_DATA) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if "robots" in file.parts and file.suffix == ".urdf":
            path = Path(str(file.locate()))
            return path.parents[len(file.parts) - file.parts.index("robots") - 1]
    return None
