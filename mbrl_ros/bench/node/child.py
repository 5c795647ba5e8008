"""The nodes of the benches as child processes, in a DDS domain of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...nodes.transport import on_this_machine

START_TIMEOUT = 120.0  # [s] for a node to get ready, including the first compilation


class Child:
    """A node as a child process in a DDS domain, which ends when this process ends; its output is kept."""

    def __init__(
        self, module: str, domain: int, parameters: Mapping[str, Any], ros: Sequence[str] = (), **options: Any
    ):
        """Start a module of nodes/ with parameters and further arguments after --ros-args.

        `options` are those of Popen, `environment` further variables.
        """
        arguments = [sys.executable, "-m", "mbrl_ros.nodes.child_process", str(os.getpid()), module, "--ros-args", *ros]
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={_spelled(value)}"]
        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            **on_this_machine(),
            **options.pop("environment", {}),
        }
        self.process = subprocess.Popen(
            arguments,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.poll() is None

    def end(self, number: int, patience: float = 20.0) -> int:
        """Send a signal and return the exit code; a process that has not ended after `patience` [s] is killed."""
        if self.running:
            self.process.send_signal(number)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def finish(self) -> None:
        """Wait until the output of a process that has ended is there."""
        self._reader.join(START_TIMEOUT)

    def text(self, lines: int = 15) -> str:
        """Return the last lines of its output."""
        return "".join(self.output[-lines:])

    def _read(self) -> None:
        self.output.extend(self.process.stdout or ())


def _spelled(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(_spelled, value)) + "]"
    return str(value)
