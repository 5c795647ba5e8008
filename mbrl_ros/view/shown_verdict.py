"""The verdict of a run from its summary.json, for the page: nothing before that is there, as the run still goes on."""

from __future__ import annotations

import json
from pathlib import Path

from ..console.verdict import Verdict
from ..exceptions import DataError
from ..files import MEGABYTE, read_text

RUNNING = "running"
LARGEST_SUMMARY = 16 * MEGABYTE


class ShownVerdict:
    """The verdict in the summary `file` of a demo or a replay; empty: there is none to show."""

    def __init__(self, file: str):
        self._file = Path(file) if file else None
        self._read: tuple[int, int] | None = None
        self._line = RUNNING if file else ""

    def line(self) -> str:
        """Return the verdict's line, RUNNING until its file is there, '' without a file; it is read where it changed.

        Raises
        ------
        DataError
            The file is no summary with a verdict; it is raised once for each content of the file.
        """
        if self._file is None:
            return ""
        try:
            found = self._file.stat()
        except OSError:
            return self._line
        if (stamp := (found.st_mtime_ns, found.st_size)) != self._read:
            self._read = stamp
            self._line = verdict_of(self._file).line()
        return self._line


def verdict_of(file: Path) -> Verdict:
    """Return the verdict in a summary.json.

    Raises
    ------
    DataError
        The file cannot be read or holds none.
    """
    try:
        entry = json.loads(read_text(file, LARGEST_SUMMARY))["verdict"]
        verdict = Verdict.of(entry)
        verdict.line()  # values of other types than those of a verdict have none
        return verdict
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: no summary with a verdict ({type(error).__name__}: {error})") from error
