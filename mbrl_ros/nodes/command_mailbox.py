"""The newest command that sim_node received, and the state that it answers. Without ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..exceptions import MbrlError
from ..types import Array

SAME = 1e-6  # [s]: stamps closer than this are the same


class CommandMailbox:
    """One command, put by the subscription's thread and taken by the simulation's."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._expected = 0.0  # stamp of the newest state [s]
        self._newest: tuple[float, Array] | None = None  # (stamp of the state that it answers, command)
        self._closed = False

    def expect(self, stamp: float) -> None:
        """Forget the last command; the next is to answer the state of `stamp` [s]."""
        with self._condition:
            self._newest, self._expected = None, stamp

    def put(self, answered: float | None, command: Array) -> None:
        """Store a command; `answered` [s] is the stamp of the state that it answers, None: the newest state's."""
        with self._condition:
            self._newest = (self._expected if answered is None else answered, command)
            self._condition.notify_all()

    def newest(self) -> Array | None:
        """Return the command that came since the newest state, whichever state it answers; None without one."""
        with self._condition:
            return None if self._newest is None else self._newest[1]

    def wait(self, timeout: float, period: float, resend: Callable[[float], None]) -> Array | None:
        """Wait for the command that answers the newest state; return None after close().

        Parameters
        ----------
        timeout
            Longest time to wait [s].
        period
            Time [s] between two calls of `resend`.
        resend
            Sends the state again; is given the time waited so far [s].

        Raises
        ------
        MbrlError
            No such command has come within `timeout`.
        """
        begin = time.perf_counter()
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed or self._answer() is not None, period)
                if self._closed or self._answer() is not None:
                    return self._answer()
            waited = time.perf_counter() - begin
            if waited > timeout:
                raise MbrlError(
                    f"no command for the state stamped {self._expected:g} s within {waited:.0f} s; is the controller "
                    "running, in lockstep, and on the same topics?"
                )
            resend(waited)

    def close(self) -> None:
        """Let wait() return at once from now on."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _answer(self) -> Array | None:
        if self._newest is None or abs(self._newest[0] - self._expected) >= SAME:
            return None
        return self._newest[1]
