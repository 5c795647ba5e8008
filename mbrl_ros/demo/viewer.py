"""The page that shows a run in the browser: view_node in a process of its own, on which the run does not depend."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from ..config.scalars import quoted
from ..config.sections.nodes import ViewNodeSettings

PORTS_TRIED = 100
PAGE_GRACE = 5.0  # [s]


class Viewer:
    """The page of a run, as a context; `note` is the line that says where it is, or why it is not.

    `description` is the source of the robot description, `environment` that of the run's nodes.
    """

    def __init__(self, description: str, environment: dict[str, str], folder: Path):
        self._process: subprocess.Popen[bytes] | None = None
        self._log = None
        if importlib.util.find_spec("viser") is None:
            self.note = "no page in the browser: pip install 'mbrl_ros[view]'"
            return
        port = free_port(ViewNodeSettings().port)
        if port is None:
            self.note = "no page in the browser: no port is free"
            return
        browser = sys.stdout.isatty()
        parameters = folder / "view_node.yaml"
        parameters.write_text(
            f"view_node:\n ros__parameters:\n  robot_description: {quoted(description)}\n  port: {port}\n"
            f"  open_browser: {str(browser).lower()}\n",
            encoding="utf-8",
        )
        self._log = open(folder / "view_node.log", "wb")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mbrl_ros.nodes.child_process", str(os.getpid()), "view_node"),
                *("--ros-args", "--params-file", str(parameters)),
            ],
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.note = (
            f"watch it: http://localhost:{port} (as long as the run lasts; over ssh: ssh -L {port}:localhost:{port})"
        )

    def __enter__(self) -> Viewer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the page."""
        process = self._process
        if process is None or self._log is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PAGE_GRACE)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._log.close()


def free_port(first: int) -> int | None:
    """Return the first port from `first` on that nobody on this computer listens on; None if there is none."""
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return None
