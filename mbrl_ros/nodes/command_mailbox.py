"""The newest command that sim_node received, and the state that it answers. Without ROS.

Several controllers may command disjoint joints of one robot. What they sent last is put together to one command, which
is NaN for joints of which no command has come yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..exceptions import MbrlError
from ..types import Array

SAME = 1e-6  # [s]: stamps closer than this are the same


class CommandMailbox:
    """One command, put by the subscription's thread and taken by the simulation's.

    Parameters
    ----------
    parts
        {topic: numbers of the joints that it commands}, disjoint; empty: one topic for all joints.
    """

    def __init__(self, parts: Mapping[str, Sequence[int]] | None = None) -> None:
        self._condition = threading.Condition()
        self._expected = 0.0  # stamp of the newest state [s]
        self._parts = {topic: list(numbers) for topic, numbers in (parts or {}).items()}
        # {topic: (stamp of the state that it answers, command)}
        self._newest: dict[str, tuple[float, Array] | None] = dict.fromkeys(self._parts or ("",))
        self._whole = np.full(sum(map(len, self._parts.values())), np.nan)  # of the parts that have come
        self._closed = False

    def expect(self, stamp: float) -> None:
        """Forget the last command; the next is to answer the state of `stamp` [s]."""
        with self._condition:
            self._newest, self._expected = dict.fromkeys(self._newest), stamp

    def put(self, answered: float | None, command: Array, topic: str = "") -> None:
        """Store a command of `topic`.

        Parameters
        ----------
        answered
            Stamp [s] of the state that it answers, None: the newest state's.
        command
            (n,), or of the joints of `topic`.
        topic
            One of `parts`.
        """
        with self._condition:
            self._newest[topic] = (self._expected if answered is None else answered, command)
            if self._parts:
                self._whole[self._parts[topic]] = command
            self._condition.notify_all()

    def newest(self) -> Array | None:
        """Return the command that came since the newest state, whichever state it answers; None without one."""
        with self._condition:
            return self._command() if any(self._newest.values()) else None

    def wait(
        self, timeout: float, period: float, resend: Callable[[float], None], *, of_all: bool = True
    ) -> Array | None:
        """Wait for the command that answers the newest state; return None after close().

        Parameters
        ----------
        timeout
            Longest time to wait [s].
        period
            Time [s] between two calls of `resend`.
        resend
            Sends the state again; is given the time waited so far [s].
        of_all
            Whether every topic must have answered; otherwise one is enough.

        Raises
        ------
        MbrlError
            No such command has come within `timeout`.
        """
        begin = time.perf_counter()
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed or self._answered(of_all), period)
                if self._answered(of_all):
                    return self._command()
                if self._closed:
                    return None
            waited = time.perf_counter() - begin
            if waited > timeout:
                raise MbrlError(
                    f"no command{self._missing()} for the state stamped {self._expected:g} s within {waited:.0f} s; is "
                    "the controller running, in lockstep, and on the same topics?"
                )
            resend(waited)

    def close(self) -> None:
        """Let wait() return at once from now on."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _command(self) -> Array:
        if self._parts:
            return self._whole.copy()
        newest = self._newest[""]
        assert newest is not None, "asked for only once it has come"
        return newest[1]

    def _answers(self, topic: str) -> bool:
        newest = self._newest[topic]
        return newest is not None and abs(newest[0] - self._expected) < SAME

    def _answered(self, of_all: bool) -> bool:
        return (all if of_all else any)(self._answers(topic) for topic in self._newest)

    def _missing(self) -> str:
        return " on " + ", ".join(topic for topic in self._parts if not self._answers(topic)) if self._parts else ""
