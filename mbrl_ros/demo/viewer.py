"""The page that shows a run in the browser: view_node in a process of its own, on which the run does not depend."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..config.scalars import quoted

ADDRESS = re.compile(r"open http://localhost:(\d+)")  # in the log of view_node
PAGE_GRACE = 5.0  # [s]
SAYS_VERDICT = "the run has ended: "  # likewise, before the verdict
VERDICT_GRACE, DRAWN_WITHIN = 3.0, 0.5  # [s] until the page knows the verdict; from then until it is drawn


class Viewer:
    """The page of a run, as a context.

    `description` is the source of the robot description, `environment` that of the run's nodes; the page's log goes
    into `folder`, whose summary.json gives the verdict. Where
    that is there at the end, the page shows it before it ends.
    """

    def __init__(self, description: str, environment: dict[str, str], folder: Path):
        parameters = folder / "view_node.yaml"
        parameters.write_text(
            f"view_node:\n ros__parameters:\n  robot_description: {quoted(description)}\n"
            f"  summary: {quoted(str(folder.absolute() / 'summary.json'))}\n"
            f"  open_browser: {str(sys.stdout.isatty()).lower()}\n",
            encoding="utf-8",
        )
        self._log, self._told, self._summary = folder / "view_node.log", False, folder / "summary.json"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mbrl_ros.nodes.child_process", str(os.getpid()), "view_node"),
                    *("--ros-args", "--params-file", str(parameters)),
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def news(self) -> str:
        """Return, once, where the page is or why there is none; '' before that is known, and after."""
        if self._told:
            return ""
        said = self._said()
        address = ADDRESS.search(said)
        if address is None and self._process.poll() is None:
            return ""
        self._told = True
        if address is None:
            return f"no page in the browser: {(said.strip().splitlines() or [f'see {self._log}'])[-1]}"
        port = address[1]
        return f"watch it: http://localhost:{port} (as long as the run lasts; over ssh: ssh -L {port}:localhost:{port})"

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Viewer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the page, once it shows the verdict."""
        until = time.monotonic() + VERDICT_GRACE
        while self._summary.exists() and self._process.poll() is None and time.monotonic() < until:
            if ADDRESS.search(said := self._said()) is None or SAYS_VERDICT in said:
                time.sleep(DRAWN_WITHIN)
                break
            time.sleep(0.05)
        self._process.send_signal(signal.SIGINT)
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PAGE_GRACE)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
