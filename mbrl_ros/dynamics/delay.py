r"""Which command was in effect when, and where the robot will be when the next one takes effect.

A command computed from the state stamped t acts from t + d dt on, d = i + a with whole ticks i and a fraction a in
[0, 1). During the tick that starts at t the command in effect is therefore, to first order,

    u_eff(t) = (1 - a) u(t - i dt) + a u(t - (i+1) dt)

where u(s) is the newest command computed from a state stamped s or earlier. Before planning, the full state is
rolled through the ticks already decided: correcting only the velocity is a known mistake (navigation2 issue 6249).
"""

from __future__ import annotations

import math

import numpy as np

from ..types import Array, CommandVector, LinearGaussianDynamics, StateVector


class CommandHistory:
    """The applied commands of the last `length` ticks and the delay d [ticks] they act with.

    whole and fraction are the parts i and a of d. This class is the specification; compiled_history.py is the same in
    compiled code.
    """

    def __init__(self, nu: int, dt: float, delay: float, *, length: int = 64):
        self.dt, self._length = dt, length
        self._stamps = [-math.inf] * length
        self._commands = np.zeros((length, nu))
        self._stds = np.zeros(length)
        self._newest = -1
        self._initial: CommandVector = np.zeros(nu)
        self.whole, self.fraction = math.floor(delay), delay - math.floor(delay)

    def set_delay(self, delay: float) -> None:
        """Take another delay d [ticks], also for the commands recorded so far."""
        self.whole, self.fraction = math.floor(delay), delay - math.floor(delay)

    @property
    def delay(self) -> float:
        """The delay d dt [s]."""
        return (self.whole + self.fraction) * self.dt

    def reset(self, command: CommandVector) -> None:
        """Forget all; `command` (nu,) is in effect until further notice."""
        self._stamps = [-math.inf] * self._length
        self._initial = np.array(command, dtype=np.float64)
        self._newest = -1

    def record(self, stamp: float, command: CommandVector, std: float = 0.0) -> None:
        """Take note of an applied command.

        Parameters
        ----------
        stamp
            Of the state that it answers, or of the one that it came in time for [s].
        command
            The command (nu,).
        std
            Standard deviation of when it began to act, beyond that of the delay [s].
        """
        self._newest = (self._newest + 1) % self._length
        self._stamps[self._newest] = float(stamp)
        self._commands[self._newest] = command
        self._stds[self._newest] = std

    def computed_at(self, stamp: float) -> CommandVector:
        """Return the newest command (nu,) computed from a state not later than `stamp`, a quarter tick allowed."""
        index = self._index(stamp)
        return self._initial if index is None else self._commands[index]

    def std(self, stamp: float) -> float:
        """Return the standard deviation [s] recorded with the command in effect in the tick that starts at `stamp`."""
        index = self._index(stamp - self.whole * self.dt)
        return 0.0 if index is None else float(self._stds[index])

    def _index(self, stamp: float) -> int | None:
        latest, stamps, newest = stamp + 0.25 * self.dt, self._stamps, self._newest
        for index in range(newest, newest - self._length, -1):  # entry -1 is the last
            if stamps[index] <= latest:
                return index if stamps[index] != -math.inf else None  # all that is older is empty, too
        return None

    def in_effect(self, stamp: float) -> CommandVector:
        """Return u_eff (nu,) of the tick that starts at `stamp`."""
        newer = self.computed_at(stamp - self.whole * self.dt)
        if self.fraction == 0.0:
            return newer
        older = self.computed_at(stamp - (self.whole + 1) * self.dt)
        return (1.0 - self.fraction) * newer + self.fraction * older

    def around(self, stamp: float) -> Array:
        """Return u_eff (2, nu) of the ticks before and after the one that starts at `stamp`."""
        return np.array([self.in_effect(stamp - self.dt), self.in_effect(stamp + self.dt)])

    def during(self, stamp: float) -> tuple[CommandVector, Array, float]:
        """Return `in_effect`, `around` and `std` of the tick that starts at `stamp`."""
        return self.in_effect(stamp), self.around(stamp), self.std(stamp)

    def roll_forward(
        self, x: StateVector, stamp: float, dynamics: LinearGaussianDynamics, late: int = 0
    ) -> StateVector:
        """Return the state (nx,) at `stamp` + (d + late) dt, when the command computed now begins to act.

        Parameters
        ----------
        x
            The state (nx,) at `stamp` [s].
        dynamics
            About x.
        late
            Whole ticks by which commands act later than after d.
        """
        for tick in range(self.whole + late):
            x = dynamics.predict(x, self.in_effect(stamp + tick * self.dt))
        if self.fraction:
            u = self.computed_at(stamp + (late - 1) * self.dt)  # still acts for the fraction a of the next tick
            x = x + self.fraction * (dynamics.predict(x, u) - x)
        return x
