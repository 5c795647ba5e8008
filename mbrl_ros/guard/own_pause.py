"""What the guard does after a time in which it was not run itself: it listens before it acts.

mpc_node hears no command from such a guard, and commands the arm past it. A safe command from where the guard's last
command left the arm would be a step then. A guard that finds itself late by more than max(a period, LISTENING)
therefore takes note of what has come and comes, and sends nothing, for max(LISTENING_PERIODS, LISTENING). What waits in
its queues is old; the newest command is not. If one of them says that mpc_node commands the arm past the guard, the
guard goes on forwarding after the newest; otherwise the safe command goes out. Positions then begin where an arm that
rests is, which was stopped elsewhere than where the guard's last command led it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .command_bytes import PAST_GUARD

LISTENING, LISTENING_PERIODS = 0.01, 1.5  # [s] and periods, whichever is longer; a command comes meanwhile
DUE_ROUNDING = 1e-6  # [s], of sums of periods and stamps


class OwnPause:
    """The time in which the guard listens; `ends` is its end [s], infinite while it does not."""

    def __init__(self) -> None:
        self._newest: tuple[Sequence[float], str] | None = None
        self.ends, self._passed = math.inf, False
        self.unheard = False  # whether the last one ended without such a command

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
            self.ends = now + max(LISTENING_PERIODS * period, LISTENING)
            self._newest, self._passed, self.unheard = None, False, False
        return now < self.ends - DUE_ROUNDING

    def hear(self, u: Sequence[float], label: str) -> None:
        """Take note of a good command."""
        self._newest, self._passed = (u, label), self._passed or label.endswith(PAST_GUARD)

    def end(self) -> tuple[Sequence[float], str] | None:
        """End it; return the newest command and its label if mpc_node commands the arm past the guard, else None."""
        newest, passed, self.unheard = self._newest, self._passed, self.listening and not self._passed
        self.ends, self._newest, self._passed = math.inf, None, False
        return newest if passed else None
