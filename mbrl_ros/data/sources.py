"""Find out what kind of file a recording is in, by its content, and read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..exceptions import DataError
from .bags import read_bag
from .recording import Recording
from .salvage import MAGIC, SQLITE, ZSTD
from .tables import read_table


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a recording. Empty: find it out.

    columns: the column map of a table (tables.py). topic, command_topic: of a bag. joints: which joints of a bag.
    """

    columns: str = ""
    topic: str = ""
    command_topic: str = ""
    joints: tuple[str, ...] = ()


def load(path: str | Path, options: ReadOptions | None = None) -> Recording:
    """The recording at `path`: a rosbag2 folder or storage file, or a CSV(.gz) table. DataError if it is neither."""
    path, options = Path(path), options or ReadOptions()
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.is_dir():
        return _bag(path, options)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error}") from None
    if not start:
        raise DataError(f"{path} is empty")
    if start.startswith((MAGIC, SQLITE, ZSTD)):
        return _bag(path, options)
    if start.startswith(b"#ROSBAG V2"):
        raise DataError(
            f"{path} is a ROS 1 bag; convert it: pip install rosbags; rosbags-convert --src {path.name} --dst bag2"
        )
    if path.suffix == ".gz" or path.suffix in (".csv", ".txt", ".tsv", ".dat"):
        return read_table(path, options.columns)
    raise DataError(f"{path} is neither a rosbag2 (.db3, .mcap, a folder) nor a table (.csv, .csv.gz)")


def _bag(path: Path, options: ReadOptions) -> Recording:
    return read_bag(path, topic=options.topic, command_topic=options.command_topic, joints=options.joints)
