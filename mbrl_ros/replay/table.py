"""A table with one row per tick, kept on disk while the replay runs, so that a bag of any length fits into memory.

Rows are float64 in a temporary file; CSV holds every value so that it is read back to the last bit.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import DataError
from ..files import open_regular
from ..types import Array

ROWS_IN_BLOCK = 4096  # rows


class Table:
    """A table with the columns {name: None for a number per tick, or the names of its entries}; `names` of all columns.

    Entries that are not given are NaN.
    """

    def __init__(self, columns: Mapping[str, Sequence[str] | None]):
        self.names: list[str] = []
        self._at: dict[str, int | slice] = {}
        for name, entries in columns.items():
            begin = len(self.names)
            self.names += [name] if entries is None else [f"{name}.{entry}" for entry in entries]
            self._at[name] = begin if entries is None else slice(begin, len(self.names))
        self._file = tempfile.TemporaryFile(prefix="mbrl-replay-")
        self._block = np.empty((ROWS_IN_BLOCK, len(self.names)))
        self._used = self._written = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._written + self._used

    def add(self, **row: Any) -> None:
        """Add a row; None stands for NaN."""
        if self._used == ROWS_IN_BLOCK:
            self._flush()
        entries = self._block[self._used]
        entries.fill(np.nan)
        for name, value in row.items():
            if value is not None:
                entries[self._at[name]] = value
        self._used += 1

    def column(self, name: str, every: int = 1) -> Array:
        """Return (T,) or (T, width) of a column, one in `every` rows."""
        parts, skip = [np.empty((0, len(self.names)))[:, self._at[name]]], 0
        for block in self.blocks():
            parts.append(block[skip::every, self._at[name]].copy())
            skip = (skip - len(block)) % every
        return np.concatenate(parts)

    def blocks(self) -> Iterator[Array]:
        """Yield the rows (<= ROWS_IN_BLOCK, columns) in order."""
        self._flush()
        self._file.seek(0)
        width = self._block.shape[1]
        while data := self._file.read(8 * ROWS_IN_BLOCK * width):
            yield np.frombuffer(data).reshape(-1, width)
        self._file.seek(0, 2)

    def write_csv(self, path: Path) -> None:
        """Write the table as CSV; NaN is an empty cell."""
        with path.open("w", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(self.names)
            for block in self.blocks():
                file.writelines(",".join(map(_cell, row)) + "\n" for row in block.tolist())

    def write_parquet(self, path: Path) -> None:
        """Write the table as Parquet; DataError without pyarrow."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ModuleNotFoundError:
            raise DataError("a Parquet table needs pyarrow: pip install 'mbrl_ros[parquet]'") from None
        schema = pyarrow.schema([(name, pyarrow.float64()) for name in self.names])
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            for block in self.blocks():
                writer.write_table(pyarrow.table(list(block.T.copy()), schema=schema))

    def _flush(self) -> None:
        self._file.seek(0, 2)
        self._file.write(self._block[: self._used].tobytes())
        self._written += self._used
        self._used = 0


def _cell(value: float) -> str:
    return "" if value != value else repr(value)


def read_csv(path: Path) -> dict[str, Array]:
    """Return {name: (T,)} of a table written by write_csv; DataError if it is none."""
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            names = next(lines, [])
            values = [[float(cell) if cell else np.nan for cell in line] for line in lines]
        rows = np.array(values, dtype=np.float64).reshape(len(values), len(names))
        if len(set(names)) != len(names):
            raise ValueError("it names a column twice")
    except (OSError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no table of a replay: {error}") from None
    return dict(zip(names, rows.T, strict=True))
