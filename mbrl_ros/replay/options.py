"""What a replay is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .topics import Mapped


@dataclasses.dataclass(frozen=True)
class ReplayOptions:
    """What to replay and what to change.

    Parameters
    ----------
    bag
        the bag, or one of its storage files.
    config
        name or file of a configuration; '': that of the recording.
    settings
        {key: value} that differ from it.
    mapped
        the roles of topics, and the robot's names of joints.
    begin, end
        the range [s] since the bag's first message.
    plan
        whether commands are computed; else the replay only learns.
    stamps
        "header", or "bag": take the bag's own stamps of the states.
    node
        full name of the node whose part of the file `config` is meant, where that holds the parameters of several.
    """

    bag: Path
    config: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    mapped: Mapped = Mapped()
    begin: float = 0.0
    end: float = float("inf")
    plan: bool = True
    stamps: str = "header"
    node: str = ""
