"""Run a module of this package in a process whose instructions are counted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ..exceptions import MbrlError
from .counters import under_valgrind

LOG, RESULT = "valgrind.log", "result.json"
SINGLE = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
ROOT_FOLDER = Path(__file__).resolve().parents[2]


def run_counted(
    module: str,
    folder: Path,
    tool: str,
    show: Callable[[str], None] = lambda line: None,
    *,
    time_limit: float | None = None,
) -> None:
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
    time_limit
        [s] after which the process is ended in the middle of what it does; None: never.

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
    _run(words, module, folder, tool, environment, show, time_limit)


def _run(
    words: list[str],
    module: str,
    folder: Path,
    tool: str,
    environment: Mapping[str, str],
    show: Callable[[str], None],
    time_limit: float | None = None,
) -> None:
    command = [*words, sys.executable, "-m", module, str(folder), tool]
    errors = folder / "stderr.txt"
    with errors.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=subprocess.PIPE, stderr=file, text=True, bufsize=1
        )
        ended = threading.Event()

        def end() -> None:
            ended.set()
            process.kill()

        timer = threading.Timer(time_limit or 0.0, end)
        if time_limit is not None:
            timer.start()
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                show(line.rstrip())
        timer.cancel()
    if process.returncode and not ended.is_set():
        said = errors.read_text(encoding="utf-8", errors="replace").strip()
        raise MbrlError(f"counting the instructions with {tool} failed:\n{said[-2000:]}")


def _path() -> str:
    """Return $PYTHONPATH with this copy of the package first."""
    return os.pathsep.join([str(ROOT_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
