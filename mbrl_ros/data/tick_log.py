"""The log of a run: one row per tick, columns by name, saved as .npz in one piece or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import written_whole
from ..types import Array


class TickLog:
    """Columns {name: width}, None for a number per tick; rows grow as needed. Entries not given in a row are NaN."""

    def __init__(self, columns: Mapping[str, int | None]):
        self._columns: dict[str, slice | int] = {}
        width = 0
        for name, size in columns.items():
            self._columns[name] = width if size is None else slice(width, width + size)
            width += 1 if size is None else size
        self._rows = np.empty((1024, width))
        self.count = 0

    def add(self, **row: Any) -> None:
        """Begin a row; KeyError for a name that is no column, None stands for NaN."""
        if self.count == len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        self._rows[self.count].fill(np.nan)
        self.count += 1
        self.amend(**row)

    def amend(self, **row: Any) -> None:
        """Set further entries of the newest row."""
        entries = self._rows[self.count - 1]
        for name, value in row.items():
            if value is not None:
                entries[self._columns[name]] = value

    def arrays(self) -> dict[str, Array]:
        """Return the columns by name, (T,) or (T, width)."""
        return {name: self._rows[: self.count, at].copy() for name, at in self._columns.items()}

    def save(self, path: str | Path, facts: Mapping[str, Any] | None = None, **further: Array) -> None:
        """Write the columns, `further` arrays and `facts` (as JSON text under "facts"); never half a file."""
        savez: Any = np.savez  # its stubs take the arrays' names for options
        with written_whole(path) as file:
            savez(file, facts=np.array(json.dumps(facts or {})), **self.arrays(), **further)


def load_tick_log(path: str | Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays by name and the facts of a saved log."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(str(arrays.pop("facts")))
