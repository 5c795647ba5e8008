"""A planning process and what is known of it: whether it is ready, busy, dead or hanging."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import time
import weakref
from multiprocessing.connection import Connection

from ..config.sections.planner import PlannerSettings
from ..exceptions import ConfigurationError
from .background_child import BUILT, BUILT_WITH_MODEL, DONE, PLAN, SETTINGS, Job
from .background_memory import shared_arrays

_log = logging.getLogger(__name__)
RESTART_PAUSE = 1.0  # [s] from one start to the next, so that a process that cannot start costs little


class PlanningProcess:
    """One child process at a time for a job, started again when it ends or hangs. Not thread-safe.

    shared: the arrays of its problem and answer; restarts: how often it was started again. Raises ConfigurationError if
    the planner cannot be built.
    """

    def __init__(self, job: Job):
        self._timeout, self._settings = job.timeout, b""
        self._job, self._memory = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        pickle.dump(job, self._job)
        self._job.flush()
        self.shared = shared_arrays(self._memory, job.sizes)
        self.restarts, self._begun = 0, 0.0
        self.fresh = True  # whether the process that runs has not planned yet
        self._start()
        self.has_model = self._built()

    def _start(self) -> None:
        """Start a process; `ready` tells when it has built its planner."""
        own, other = multiprocessing.Pipe()
        descriptors = other.fileno(), self._job.fileno(), self._memory.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mbrl_ros.planners.background_child", *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        other.close()
        self._connection = own
        self._finish = weakref.finalize(self, _end, self._process, own)
        self._begun, self._sent, self._ready, self.fresh = time.monotonic(), 0.0, False, True
        self.busy, self._why = False, ""

    def _built(self) -> bool:
        """Wait until the planner is built; return whether it plans through a nonlinear model."""
        try:
            message = self._connection.recv_bytes()
        except (EOFError, OSError):
            message = f"the planning process ended with {self._process.wait()} while it started".encode()
        if message not in (BUILT, BUILT_WITH_MODEL):
            self._finish()
            raise ConfigurationError(message.decode(), key="planner.process", value=True)
        self._ready = True
        return message == BUILT_WITH_MODEL

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> bool:
        """Return whether it is ready for a problem; start it again where it has ended, not too soon after a start."""
        if self._process.poll() is not None:
            self._ready = self.busy = False
            if time.monotonic() - self._begun >= RESTART_PAUSE:
                self.restarts += 1
                _log.warning("the planning process %s; it is started again (%d)", self._reason(), self.restarts)
                self._finish()
                self._start()
        elif not self._ready and self._has_message(0.0):
            self._ready = self._receive() in (BUILT, BUILT_WITH_MODEL)
            if self._ready and self._settings:
                self._put(self._settings)
        return self._ready and not self.busy

    def _reason(self) -> str:
        return self._why or f"ended with {self._process.returncode}"

    def send(self) -> None:
        """Let it solve the problem in the shared memory."""
        self._put(PLAN)
        self.busy, self.fresh, self._sent = True, False, time.monotonic()

    def configure(self, settings: PlannerSettings) -> None:
        """Give it the settings that may change, between two plans."""
        self._settings = SETTINGS + pickle.dumps(settings)  # also for those that are started later
        self._put(self._settings)

    def take(self, wait: bool) -> bool:
        """Return whether the answer is in the shared memory; with `wait`, wait for it until the time is out."""
        left = self._sent + self._timeout - time.monotonic()
        if self._has_message(max(0.0, left) if wait else 0.0):
            done = self._receive() == DONE
            self.busy = False
            return done
        if left <= 0.0 or wait:
            self._why, self.busy, self._ready = f"did not answer within {self._timeout:g} s", False, False
            self._process.kill()
        return False

    def _has_message(self, seconds: float) -> bool:
        try:
            return self._connection.poll(seconds)
        except (EOFError, OSError):
            return False

    def _receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            return b""

    def _put(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended, which check() sees
            self._connection.send_bytes(message)


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    process.kill()
    process.wait()
