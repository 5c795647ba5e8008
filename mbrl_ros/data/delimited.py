"""The rows of delimited text (CSV), plain or gzipped, one line at a time and within bounds.

A gzipped file of a megabyte can hold a gigabyte of text: as much is unpacked as text of its kind can be packed into its
size, and no more. A quote that is not closed would make one cell of all lines up to the next quote: it is an error.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from array import array
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..exceptions import DataError, listed
from ..files import MEGABYTE, open_regular
from ..types import Array

LARGEST_TABLE = 1024 * MEGABYTE  # of text, unpacked
TABLE_RATIO = 200  # of unpacked to packed bytes beyond which a file of more than ...
TABLE_SMALL = 64 * MEGABYTE  # ... was made to fill the memory
MOST_CELLS = 100_000_000
LONGEST_ROW = 1 << 17  # characters
MOST_COLUMNS = 10_000


def rows_of(path: Path) -> tuple[list[str], Array, dict[str, int], list[str]]:
    """Return header, values (T, columns) with NaN for what is no number, counts of defects, and notes."""
    notes: list[str] = []
    try:
        with open_regular(path) as file:
            unpacked = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            lines = _Lines(unpacked, _most(file, path), path)
            header, values, wrong = _rows(lines, path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no readable CSV file: {error}") from None
    if lines.cut:
        notes.append(f"the file is truncated ({lines.cut}): the {lines.count} lines before that were used")
    return header, values, {"lines of the wrong length dropped": wrong}, notes


def _most(file: BinaryIO, path: Path) -> int:
    """Return how many bytes a table may have: of a packed one, as many as such text can be packed into its size."""
    size = os.fstat(file.fileno()).st_size
    return LARGEST_TABLE if path.suffix != ".gz" else min(LARGEST_TABLE, max(TABLE_SMALL, TABLE_RATIO * size))


class _Lines:
    """The lines of a table as text, one at a time: `count` of them came; `cut` says why no more came, '' at the end."""

    def __init__(self, file: BinaryIO | gzip.GzipFile, most: int, path: Path):
        self._file, self._left, self._most, self._path = file, most, most, path
        self.count, self.cut = 0, ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        try:
            line = self._file.readline(LONGEST_ROW + 1)
        except (EOFError, zlib.error) as error:
            self.cut = str(error)
            raise StopIteration from None
        if not line:
            raise StopIteration
        self.count, self._left = self.count + 1, self._left - len(line)
        if len(line) > LONGEST_ROW:
            raise DataError(f"{self._path}: line {self.count} has more than {LONGEST_ROW} characters: no table has")
        if self._left < 0:
            raise DataError(
                f"{self._path} holds more than {self._most / MEGABYTE:.0f} MiB of text and was not read; split it"
            )
        return line.decode("utf-8-sig" if self.count == 1 else "utf-8")


def _rows(lines: _Lines, path: Path) -> tuple[list[str], Array, int]:
    """Return header, values (T, columns) and how many lines have another length than the header."""
    first = next(lines, "")
    if not first:
        raise DataError(f"{path} is empty")
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(first[:1000], delimiters=",;\t ")
    except csv.Error:
        dialect = csv.excel
    values, wrong = array("d"), 0
    try:
        header = [name.strip() for name in next(csv.reader([_whole(first, 1, path)], dialect))]
        _check_header(header, path)
        for row in csv.reader((_whole(line, lines.count, path) for line in lines), dialect):
            if len(row) == len(header):
                values.extend(map(_number, row))
            elif row:
                wrong += 1
            if len(values) > MOST_CELLS:
                raise DataError(f"{path} holds more than {MOST_CELLS} numbers; split it")
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file: line {lines.count}: {error}") from None
    if not values:
        raise DataError(f"{path} has a header and no line that fits it")
    return header, np.frombuffer(values, dtype=np.float64).reshape(-1, len(header)), wrong


def _whole(line: str, number: int, path: Path) -> str:
    """Return a line; DataError if a quote in it is not closed: it would swallow the lines up to the next quote."""
    if line.count('"') % 2:
        raise DataError(
            f'{path}: line {number} opens a quote (") and does not close it: every row up to the next quote would be '
            "lost; remove the quote, or close it in its line"
        )
    return line


def _check_header(header: list[str], path: Path) -> None:
    """Raise DataError unless the first line names the columns, each once."""
    if all(_number(name) == _number(name) for name in header):
        raise DataError(f"{path} has no header line; the first line must name the columns")
    if len(header) > MOST_COLUMNS:
        raise DataError(f"{path} has {len(header)} columns, more than {MOST_COLUMNS}")
    if double := sorted(name for name, count in Counter(header).items() if count > 1):
        raise DataError(f"{path} names a column twice: {listed(double)}")


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
