"""Which command is next: mpc_node's or the safe one. No ROS; every time [s] is given, by one monotonic clock.

    WAITING      from the start: nothing goes out until mpc_node's parameters and commands have come
    FORWARDING   every good command of mpc_node goes out unchanged
    ACTING       a command or the heartbeat is missing: the safe command (laws.py), until mpc_node takes over again
    HOLD         somebody asked for it: the safe command, until ~/resume
    E_STOP       ... until ~/clear, which leads to HOLD

A command is good if it has one finite entry for each joint, inside the limits and within reach of the one before; any
other one is counted and otherwise as if it had not come. Each end of FORWARDING is an intervention and has a number,
the epoch.

Handover without a step: from WAITING or ACTING to FORWARDING, once the safe command has come to rest and
`handover_periods` good commands in a row, none later than the time-out, were sent by a node whose parameters are
recent and name the present epoch (it knows that it was interrupted, and has begun again from the measured state), and
lie where the guard holds the arm (NEAR). While nothing has gone out yet, one such command is enough.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .laws import LONGEST_STEP, Law, make_law
from .messages import Array, GuardParameters, GuardStatus
from .settings import GuardSettings
from .states import StateBuffer

PERIOD_ROUNDING = 1e-6  # of a command's range by which it may be outside
NEAR = 0.1  # of the effort range between the commands of guard and mpc_node at a handover
NEAR_PERIODS = 2.0  # ... or what the acceleration limit allows in so many periods


class Mode(enum.IntEnum):
    """The guard's states; the values are the codes in its status."""

    WAITING = 0
    FORWARDING = 1
    ACTING = 2
    HOLD = 3
    E_STOP = 4


class Guard:
    """The guard of one arm. Its methods must not be called from two threads at once, but for `states.put`.

    Parameters
    ----------
    settings
        the parameters of guard_node.
    decode
        makes a sensor_msgs/JointState of what is put into `states`.
    epoch
        number of the first intervention: another one after each start, so that no earlier acknowledgement counts.
    """

    def __init__(self, settings: GuardSettings, decode: Callable[[Any], Any], epoch: int = 0):
        self.settings, self.states = settings, StateBuffer(decode)
        self.mode, self.cause, self.epoch = Mode.WAITING, "started", epoch
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()  # by reason
        self._parameters: GuardParameters | None = None
        self._heartbeat = -math.inf  # when the newest parameters came
        self._law: Law | None = None
        self._law_parameters: GuardParameters | None = None
        self._box: list[tuple[float, float, float]] = []  # smallest and largest value, largest step of each joint
        self._last: Sequence[float] | Array | None = None  # the command that went out last
        self._last_label = ""
        self._before: tuple[Sequence[float] | Array | None, float] = (
            None,
            1.0,
        )  # the one before it, periods in between
        self._good_at = self._sent_at = -math.inf  # the last good command of mpc_node; the last one that went out
        self._streak, self._since = 0, -math.inf

    # --- what comes in ------------------------------------------------------------------------------------------------

    def take_parameters(self, parameters: GuardParameters, now: float) -> str:
        """Take mpc_node's parameters; return why they are refused, '' if they are not."""
        known = self._parameters
        if known is not None:
            if parameters.source != known.source and now - self._heartbeat <= self.settings.heartbeat_timeout:
                return self._refuse("parameters from two nodes")
            if parameters.source == known.source and parameters.counter == known.counter:
                return self._refuse("parameters repeated")
            if self._last is not None and not parameters.same_robot(known):
                return self._refuse("parameters of another robot: start the guard again")
        self._parameters, self._heartbeat = parameters, now
        slack = PERIOD_ROUNDING * (parameters.upper - parameters.lower)
        box = parameters.lower - slack, parameters.upper + slack, parameters.largest_step + slack
        self._box = list(zip(*(side.tolist() for side in box), strict=True))
        self.states.configure(parameters)
        return ""

    def take_command(self, u: Sequence[float], label: str, now: float) -> bool:
        """Take a command of mpc_node; return whether it goes out.

        Parameters
        ----------
        u
            its values.
        label
            names the state that it answers: a command with the label of the one before repeats it.
        now
            when it came [s].
        """
        parameters, late = self._parameters, now - self._good_at
        if self.mode is Mode.FORWARDING and self._watched and late > self._timeout:
            self._intervene(Mode.ACTING, f"no command for {1e3 * late:.0f} ms", now)
        if parameters is None:
            self._refuse("before parameters")
            return False
        problem = self._problem(u, parameters, now)
        if problem:
            self._refuse(problem)
            return False
        if self.mode is not Mode.FORWARDING and not self._hands_over(np.array(u), parameters, now, late):
            self._good_at = now
            return False
        self._forward(u, label, parameters, now)
        return True

    def request(self, name: str, now: float) -> tuple[bool, str]:
        """Handle `e_stop`, `hold`, `resume` or `clear`; return (whether it is granted, what to say)."""
        mode = self.mode
        if name == "e_stop":
            self._intervene(Mode.E_STOP, "emergency stop requested", now)
        elif name == "hold" and mode is not Mode.E_STOP:
            self._intervene(Mode.HOLD, "hold requested", now)
        elif name == "clear" and mode is Mode.E_STOP:
            self.mode, self.cause = Mode.HOLD, "cleared"
        elif name == "resume" and mode is Mode.HOLD:
            self.mode, self._streak = Mode.WAITING if self._law is None else Mode.ACTING, 0
            self.cause = "resumed; waiting for mpc_node"
        elif mode is Mode.E_STOP:
            return False, "the guard is in E_STOP; call ~/clear first"
        return True, f"the guard is in {self.mode.name}"

    # --- what goes out ------------------------------------------------------------------------------------------------

    def due(self) -> float:
        """Return when `act` must be called next [s]; infinite if it need not."""
        if self.mode is Mode.FORWARDING:
            if not self._watched:
                return math.inf
            return min(self._good_at + self._timeout, self._heartbeat + self.settings.heartbeat_timeout)
        if self._law is None or self._law_parameters is None:
            return math.inf
        return self._sent_at + self._law_parameters.period

    def act(self, now: float) -> Array | None:
        """Return the safe command (n,) that goes out at `now`, None if none does."""
        if now < self.due():
            return None
        if self.mode is Mode.FORWARDING:
            silent, beat = now - self._good_at, now - self._heartbeat
            missing, ago = ("command", silent) if silent >= self._timeout else ("heartbeat", beat)
            self._intervene(Mode.ACTING, f"no {missing} for {1e3 * ago:.0f} ms", now)
        if self._law is None or self._law_parameters is None:
            return None
        period = self._law_parameters.period
        longest = max(LONGEST_STEP * period, self._timeout + period)
        elapsed = min(max(now - self._sent_at, 0.1 * period), longest)
        u = self._law.command(elapsed, self.states.newest(now))
        # The commands keep their grid, unless one is late.
        self._sent_at = self._sent_at + period if now - self._sent_at < 1.5 * period else now
        self._last = u
        self.counts["played"] += 1
        return u

    @property
    def at_rest(self) -> bool:
        """Whether the safe command only holds the arm, or none is needed."""
        return self._law is None or self._law.at_rest

    @property
    def carrying(self) -> Array | None:
        """Return the command (n,) that holds the arm; None before the first one."""
        if self._law is not None:
            return self._law.carrying
        return None if self._last is None else np.array(self._last)

    @property
    def source(self) -> str:
        """The full name of the node whose commands are forwarded, '' before its parameters have come."""
        return "" if self._parameters is None else self._parameters.source

    def status(self, now: float) -> GuardStatus:
        """Return what is published of the guard's state."""
        return GuardStatus(
            self.mode.name,
            self.cause,
            self.source,
            int(self.mode),
            self.epoch,
            self.mode is not Mode.FORWARDING and self.at_rest,
            0.0 if self.mode is Mode.FORWARDING or math.isinf(self._since) else now - self._since,
            self.counts["forwarded"],
            self.counts["played"],
            sum(self.refused.values()),
            self.counts["interventions"],
            self.carrying,
        )

    def end(self, now: float) -> None:
        """Bring the arm to rest, since the guard itself ends; what goes out then stays in effect."""
        if self.mode is Mode.FORWARDING:
            self._intervene(Mode.HOLD, "the guard ends", now)

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _watched(self) -> bool:
        return self._parameters is not None and self._parameters.watch

    @property
    def _timeout(self) -> float:
        """After so long [s] a command counts as missing."""
        period = 0.0 if self._parameters is None else self._parameters.period
        return max(self.settings.missing_periods * period, self.settings.missing_time)

    def _refuse(self, reason: str) -> str:
        self.refused[reason] += 1
        return reason

    def _problem(self, u: Sequence[float], parameters: GuardParameters, now: float) -> str:
        """Return why a command is not good, '' if it is; without numpy, which is slower for a few joints."""
        if len(u) != len(self._box):
            return "wrong length"
        if not all(low <= value <= high for value, (low, high, _) in zip(u, self._box, strict=True)):
            return "outside the limits" if all(map(math.isfinite, u)) else "not finite"
        if self.mode is Mode.FORWARDING and self._last is not None:
            periods = max(1.0, (now - self._sent_at) / parameters.period)
            for value, last, (_, _, step) in zip(u, self._last, self._box, strict=True):
                if abs(value - last) > periods * step:
                    return "too far from the last command"
        return ""

    def _forward(self, u: Sequence[float], label: str, parameters: GuardParameters, now: float) -> None:
        if self.mode is not Mode.FORWARDING:
            self.mode, self.cause, self._law = Mode.FORWARDING, f"commands of {parameters.source}", None
            self._before = None, 1.0
        elif label != self._last_label:
            periods = (now - self._sent_at) / parameters.period
            self._before = self._last, max(0.05, periods) if periods < 0.75 else float(round(periods))
        self._last, self._last_label, self._good_at, self._sent_at = u, label, now, now
        self.counts["forwarded"] += 1

    def _speed(self, parameters: GuardParameters) -> Array:
        """Return how fast the commands were changing (n,) [1/s]."""
        before, periods = self._before
        if before is None or self._last is None:
            return np.zeros(parameters.n)
        change: Array = np.array(self._last) - np.array(before)
        return change / (periods * parameters.period)

    def _intervene(self, mode: Mode, cause: str, now: float) -> None:
        """Leave FORWARDING, or change why nothing is forwarded."""
        if self.mode is Mode.FORWARDING:
            self._law_parameters = self._parameters
            if self._law_parameters is not None and self._last is not None:
                self._law = make_law(self._law_parameters, np.array(self._last), self._speed(self._law_parameters))
            self.epoch += 1
            self.counts["interventions"] += 1
            self._since = now
        self.mode, self.cause, self._streak = mode, cause, 0

    def _hands_over(self, u: Array, parameters: GuardParameters, now: float, late: float) -> bool:
        """Return whether this good command is the first one that goes out again."""
        if self.mode not in (Mode.WAITING, Mode.ACTING):
            self.counts["held back"] += 1
            return False
        if not parameters.watch:
            return True
        self._streak = 0 if late > self._timeout else self._streak
        beat = now - self._heartbeat <= self.settings.heartbeat_timeout
        if beat and parameters.epoch == self.epoch and self.at_rest and self._near(u, parameters):
            self._streak += 1
        else:
            self._streak = 0
        return self._streak >= (1 if self._law is None else self.settings.handover_periods)

    def _near(self, u: Array, parameters: GuardParameters) -> bool:
        """Return whether u (n,) may follow the guard's command without a step."""
        if self._law is None:
            return True
        if parameters.interface == "effort":
            step = NEAR * (parameters.upper - parameters.lower)
        else:
            step = parameters.acceleration * (NEAR_PERIODS * parameters.period)
            if parameters.interface == "position":
                step = step * parameters.period
        held = u if self._last is None else np.array(self._last)
        return bool((np.abs(u - held) <= step + PERIOD_ROUNDING * (parameters.upper - parameters.lower)).all())
