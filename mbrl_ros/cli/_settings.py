"""What the commands share that read files of settings or change settings: --node, KEY=VALUE."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..config.scalars import parse
from ..exceptions import ConfigurationError


def add_node_argument(parser: argparse.ArgumentParser) -> None:
    """Add --node, which chooses one of the nodes of a parameter file."""
    parser.add_argument(
        "--node",
        default="",
        metavar="NAME",
        help="full name of the mpc_node whose parameters are used, for instance /arm1/mpc_node; needed where the file "
        "of settings holds those of several",
    )


def assignments(entries: Iterable[str]) -> dict[str, Any]:
    """Return {key: value} of KEY=VALUE entries; values are read as in a parameter file."""
    values = {}
    for entry in entries:
        key, equal, text = entry.partition("=")
        if not equal:
            hint = "; --set takes every word after it: write files before it" if Path(entry).exists() else ""
            raise ConfigurationError(f"'{entry}' must be KEY=VALUE{hint}", key=key, value=entry)
        try:
            values[key] = parse(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"'{entry}': {error}", key=key, value=text) from None
    return values
