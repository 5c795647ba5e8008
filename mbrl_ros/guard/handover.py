"""When mpc_node takes over again, or for the first time: after enough good commands in a row.

A command with which the guard begins must reach the robot. A guard that was started again may find mpc_node seconds
before it finds the robot, and mpc_node commands the arm past it until its commands come back. The guard therefore
begins only where it is connected with as many readers of its commands as mpc_node is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .messages import GuardParameters


class Handover:
    """Counts the good commands: `periods` of them, and for the first command of all one.

    `readers` tells with how many readers of its commands the guard is connected, if that is known. `waits_for` says
    what they wait for, '' if for nothing but their number.
    """

    def __init__(self, periods: int):
        self.readers: Callable[[], float] = lambda: math.inf
        self._periods = periods
        self._streak, self.waits_for = 0, ""

    def restart(self) -> None:
        """Count anew."""
        self._streak = 0

    def add(self, parameters: GuardParameters, *, ready: bool, begins: bool) -> bool:
        """Take note of a good command; return whether it goes out.

        Parameters
        ----------
        parameters
            what mpc_node sent last.
        ready
            whether mpc_node knows where the arm is and the safe command has come to rest there.
        begins
            whether nothing has gone out yet.
        """
        self.waits_for = ""
        if begins and (readers := self.readers()) < parameters.readers:
            self.waits_for = f"connected with {readers:g} of {parameters.readers} readers of the commands"
        self._streak = self._streak + 1 if ready and not self.waits_for else 0
        return self._streak >= (1 if begins else self._periods)
