"""The nodes of a run as child processes in a DDS domain of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..console.signals import hurried
from ..exceptions import MbrlError
from .dds_domain import private_domain

END_GRACE = 20.0  # [s] for a node to end in order before it is killed


class CouldNotStart(MbrlError):
    """A node has not started because what it was given is wrong; no run has failed."""

    CODE = 2  # nodes/process.py


class Processes:
    """The child processes {name: process}, as a context whose end they do not outlive.

    Leaving the context ends them in order; the death of this process, however it dies, ends them too
    (nodes/child_process.py).
    """

    def __init__(self, parameters: dict[str, Path], folder: Path, domain: int | None = None):
        """Start the nodes {name: parameter file}; their output goes to NAME.log in `folder`."""
        self.environment = private_domain(domain)
        self._logs = {name: open(folder / f"{name}.log", "w", encoding="utf-8") for name in parameters}
        self._folder = folder
        self.running = {name: self._start(name, file) for name, file in parameters.items()}

    def __enter__(self) -> Processes:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the nodes: the controller first, whose last command the simulated robot still receives."""
        try:
            for name in ("mpc_node", "sim_node", *self.running):
                self.end(name)
        finally:  # also where a signal comes while they end
            for process in self.running.values():
                _kill_group(process)
            for log in self._logs.values():
                log.close()

    @property
    def domain(self) -> int:
        """Return the DDS domain."""
        return int(self.environment["ROS_DOMAIN_ID"])

    def check(self) -> None:
        """Raise an error with the end of its log if a node has died.

        Raises
        ------
        CouldNotStart
            The node rejected its settings.
        MbrlError
            It ended for another reason.
        """
        for name, process in self.running.items():
            if process.poll() not in (None, 0):
                self._logs[name].flush()
                text = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                last = "\n".join(text.strip().splitlines()[-15:])
                kind = CouldNotStart if process.returncode == CouldNotStart.CODE else MbrlError
                raise kind(f"{name} ended with code {process.returncode}:\n{last}")

    def end(self, name: str) -> None:
        """End a node in order with SIGINT; kill it and its children after END_GRACE or when the user is impatient."""
        process = self.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            deadline = time.monotonic() + END_GRACE
            while process.poll() is None and time.monotonic() < deadline and not hurried():
                time.sleep(0.05)
        _kill_group(process)

    def _start(self, name: str, file: Path) -> subprocess.Popen:
        parent = str(os.getpid())
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mbrl_ros.nodes.child_process",
                parent,
                name,
                "--ros-args",
                "--params-file",
                str(file),
            ],
            env=self.environment,
            stdout=self._logs[name],
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _kill_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
