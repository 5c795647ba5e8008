"""What the guard does after a time in which it was not run itself: it listens before it acts.

mpc_node hears no command from such a guard, and commands the arm past it. A safe command from where the guard's last
command left the arm would be a step then. A guard that finds itself late by more than max(a period, LISTENING)
therefore takes note of what has come and comes, and sends nothing, for max(LISTENING_PERIODS, LISTENING) from the first
message on that it takes: the thread that finds it late may be run before the one that takes messages, on a busy machine
by more than that. If none is taken for LONGEST_LISTENING, none is waited for. What waits in its queues is old; the
newest command is not. If one of them says that mpc_node commands the arm past the guard, the guard goes on forwarding
after the newest; otherwise the safe command goes out. Where the arm rests by then, it was stopped elsewhere than where
the guard's last command led it: positions begin where it is, and velocities at zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .command_bytes import PAST_GUARD

LISTENING, LISTENING_PERIODS = 0.01, 1.5  # [s] and periods, whichever is longer; a command comes meanwhile
LONGEST_LISTENING = 0.1  # [s] for the first message
DUE_ROUNDING = 1e-6  # [s], of sums of periods and stamps


class OwnPause:
    """The time in which the guard listens; `ends` is its end [s], infinite while it does not."""

    def __init__(self) -> None:
        self._newest: tuple[Sequence[float], str] | None = None
        self.ends, self._passed = math.inf, False
        self._window, self._runs = LISTENING, False  # [s] from the first message on; whether it has come

    @property
    def listening(self) -> bool:
        """Whether the guard listens."""
        return self.ends < math.inf

    def was_paused(self, late: float, period: float) -> bool:
        """Return whether a guard that is `late` [s] was not run itself, or still listens after that."""
        return self.listening or late > max(period, LISTENING)

    def listens(self, now: float, period: float) -> bool:
        """Begin to listen if it does not yet; return whether it does so still."""
        if not self.listening:
            self._window, self._runs = max(LISTENING_PERIODS * period, LISTENING), False
            self.ends = now + max(self._window, LONGEST_LISTENING)
            self._newest, self._passed = None, False
        return now < self.ends - DUE_ROUNDING

    def takes(self, now: float) -> None:
        """Take note that a message is taken at `now` [s], whichever."""
        if self.listening and not self._runs:
            self._runs, self.ends = True, now + self._window

    def hear(self, u: Sequence[float], label: str, now: float) -> None:
        """Take note of a good command that is taken at `now` [s]."""
        self.takes(now)
        self._newest, self._passed = (u, label), self._passed or label.endswith(PAST_GUARD)

    def end(self) -> tuple[Sequence[float], str] | None:
        """End it; return the newest command and its label if mpc_node commands the arm past the guard, else None."""
        newest, passed = self._newest, self._passed
        self.ends, self._newest, self._passed = math.inf, None, False
        return newest if passed else None
