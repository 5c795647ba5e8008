"""The guard of a robot in lockstep: time is the number of its states, and each of them gets exactly one command.

A state is due for the safe command
    when it comes, where mpc_node has answered none for so long that its command counts as missing;
    otherwise, where commands are not forwarded, when mpc_node has answered it, so that a slow one is not outrun.

mpc_node answers every state in order. What it says to an earlier one than the newest is too late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .guard import Guard
from .messages import Array, Mode
from .own_pause import DUE_ROUNDING

SAME_STAMP = 1e-6  # [s]: stamps closer than this are the same


class Lockstep:
    """Says what goes out in answer to states and commands that come in lockstep; `now` is the number of states [s]."""

    def __init__(self, guard: Guard):
        self._guard, self.now = guard, 0.0
        self._stamp = math.nan  # of the newest state [s]
        self._own: Array | None = None  # the safe command that has answered it
        self._heard_at = 0.0  # when mpc_node has answered a state last

    def take_state(self, message: Any, stamp: float) -> Array | None:
        """Return the safe command (n,) for a state stamped `stamp` [s]; None if it waits for mpc_node's.

        `message` is what Guard.states decodes.
        """
        guard, known = self._guard, abs(stamp - self._stamp) < SAME_STAMP
        if not known:
            self._begin(stamp)
        guard.states.put(message, self.now)
        if known:  # sent again: its command may have been lost
            return self._own
        if guard.mode is not Mode.FORWARDING and self.now - self._heard_at <= guard.timeout + DUE_ROUNDING:
            return None
        return self._act()

    def take_command(self, u: Sequence[float], label: str) -> tuple[bool, Array | None]:
        """Return whether mpc_node's command u goes out, and the safe command (n,) that goes out instead, or None.

        `label` is the stamp [s] of the state that it answers. That state may come to the guard later than to mpc_node.
        """
        guard = self._guard
        self._heard_at = self.now
        try:
            stamp = float(label)
        except ValueError:
            stamp = math.nan
        if stamp < self._stamp - SAME_STAMP:
            guard.refused["answers an earlier state"] += 1
            return False, None
        if not abs(stamp - self._stamp) < SAME_STAMP and math.isfinite(stamp):
            self._begin(stamp)
            self._heard_at = self.now
        if guard.take_command(u, label, self.now):
            self._own = None
            return True, None
        if guard.mode is Mode.FORWARDING or self._own is not None:
            return False, None
        return False, self._act()

    def _begin(self, stamp: float) -> None:
        """Count a new state."""
        parameters = self._guard.parameters
        self._stamp, self._own = stamp, None
        self.now += 0.0 if parameters is None else parameters.period

    def _act(self) -> Array | None:
        self._own = self._guard.act(self.now)
        return self._own
