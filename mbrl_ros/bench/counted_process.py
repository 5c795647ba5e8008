"""Run a module of this package in a process whose instructions are counted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..exceptions import MbrlError
from .counters import under_valgrind

LOG, RESULT = "valgrind.log", "result.json"
SINGLE = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
ROOT_FOLDER = Path(__file__).resolve().parents[2]


def run_counted(module: str, folder: Path, tool: str, show: Callable[[str], None] = lambda line: None) -> None:
    """Run `python -m module folder tool`, under valgrind if that is the tool; first once with tool "none" then.

    Parameters
    ----------
    module
        Takes the folder and the tool, "perf", "valgrind" or "none", which only compiles what it needs.
    folder
        What the process reads and writes; valgrind's log is LOG in it.
    tool
        What counts.
    show
        Is given every line that the process prints.

    Raises
    ------
    MbrlError
        The process failed.
    """
    environment = {**os.environ, **SINGLE, "PYTHONPATH": _path(), "PYTHONHASHSEED": "0"}
    words: list[str] = []
    if tool == "valgrind":
        words, needed = under_valgrind(folder / LOG)
        environment.update(needed)
        _run([], module, folder, "none", environment, show)
    _run(words, module, folder, tool, environment, show)


def _run(
    words: list[str],
    module: str,
    folder: Path,
    tool: str,
    environment: Mapping[str, str],
    show: Callable[[str], None],
) -> None:
    command = [*words, sys.executable, "-m", module, str(folder), tool]
    errors = folder / "stderr.txt"
    with errors.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=subprocess.PIPE, stderr=file, text=True, bufsize=1
        )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                show(line.rstrip())
    if process.returncode:
        said = errors.read_text(encoding="utf-8", errors="replace").strip()
        raise MbrlError(f"counting the instructions with {tool} failed:\n{said[-2000:]}")


def _path() -> str:
    """Return $PYTHONPATH with this copy of the package first."""
    return os.pathsep.join([str(ROOT_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
