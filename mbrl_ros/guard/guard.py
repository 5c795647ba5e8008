"""Which command is next: mpc_node's or the safe one. No ROS; every time [s] is given, by one clock without leaps.

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
lie where the guard holds the arm (command_check.py). While nothing has gone out yet, one such command is enough, and in
lockstep any good one; but not before the guard is connected with the robot (handover.py). An mpc_node that was started
again is interrupted like one that was silent.

A guard that was not run itself listens first, whether mpc_node commands the arm past it (own_pause.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .command_check import CommandCheck
from .command_speed import CommandSpeed
from .handover import Handover
from .laws import LONGEST_STEP, Law, make_law, where_it_rests
from .messages import Array, GuardParameters, GuardStatus, Mode, Time
from .own_pause import DUE_ROUNDING, OwnPause
from .settings import GuardSettings
from .states import StateBuffer


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
    simulated
        whether the times that it is given are those of /clock.
    """

    def __init__(
        self, settings: GuardSettings, decode: Callable[[Any], Any], epoch: int = 0, *, simulated: bool = False
    ):
        self.settings, self.states = settings, StateBuffer(decode)
        self.handover = Handover(settings.handover_periods)
        self._times = Time.LOCKSTEP, Time.SIMULATED if simulated else Time.WALL
        self.mode, self.cause, self.epoch = Mode.WAITING, "started", epoch
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()  # by reason
        self._parameters: GuardParameters | None = None
        self._heartbeat = -math.inf  # when the newest parameters came
        self._law: Law | None = None
        self._law_parameters: GuardParameters | None = None
        self._check: CommandCheck | None = None
        self._last: Sequence[float] | Array | None = None  # the command that went out last
        self._last_label = ""
        self._speed = CommandSpeed()
        self._good_at = self._sent_at = -math.inf  # the last good command of mpc_node; the last one that went out
        self._next = -math.inf  # when the next safe command is due
        self._since = -math.inf
        self.pause = OwnPause()
        self.least_timeout: Callable[[], float] = lambda: 0.0  # [s]

    # --- what comes in ------------------------------------------------------------------------------------------------

    def take_parameters(self, parameters: GuardParameters, now: float) -> str:
        """Take mpc_node's parameters; return why they are refused, '' if they are not."""
        known = self._parameters
        if parameters.time not in self._times:
            return self._refuse("use_sim_time must be the same for mpc_node and its guard")
        if known is not None:
            if parameters.source != known.source and now - self._heartbeat <= self.settings.heartbeat_timeout:
                return self._refuse("parameters from two nodes")
            if parameters.source == known.source and parameters.counter == known.counter:
                return self._refuse("parameters repeated")
            if self._last is not None and not parameters.continues(known):
                return self._refuse("parameters of another robot: start the guard again")
            begun_again = parameters.source != known.source or parameters.counter < known.counter
            if begun_again and self.mode is Mode.FORWARDING:
                self._intervene(Mode.ACTING, "mpc_node was started again", now)
        self._parameters, self._heartbeat = parameters, now
        self._check = CommandCheck(parameters)
        self.states.configure(parameters)
        return ""

    def take_command(self, u: Sequence[float], label: str, now: float) -> bool:
        """Take a command u (n,) of mpc_node that came at `now` [s]; return whether it goes out.

        `label` names the state that it answers: a command with the label of the one before repeats it.
        """
        parameters, check, late = self._parameters, self._check, now - self._good_at
        if self.mode is Mode.FORWARDING and late > self.timeout + DUE_ROUNDING and not self._resumes(now):
            self._intervene(Mode.ACTING, f"no command for {1e3 * late:.0f} ms", now)
        if parameters is None or check is None:
            self._refuse("before parameters")
            return False
        problem = check.problem(u)
        if self.pause.listening and not problem:
            self.pause.hear(u, label, now)
            return False
        if not problem and self.mode is Mode.FORWARDING and self._last is not None:
            periods = max(1.0, (now - self._sent_at) / parameters.period)
            problem = "" if check.reaches(u, self._last, periods) else "too far from the last command"
        if problem:
            self._refuse(problem)
            return False
        if self.mode is not Mode.FORWARDING and not self._hands_over(np.array(u), parameters, check, now, late):
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
            self.handover.restart()
            self.mode = Mode.WAITING if self._law is None else Mode.ACTING
            self.cause = "resumed; waiting for mpc_node"
        elif mode is Mode.E_STOP:
            return False, "the guard is in E_STOP; call ~/clear first"
        return True, f"the guard is in {self.mode.name}"

    # --- what goes out ------------------------------------------------------------------------------------------------

    def due(self) -> float:
        """Return when `act` must be called next [s]; infinite if it need not."""
        if self.pause.listening:
            return self.pause.ends
        if self.mode is Mode.FORWARDING:
            return min(self._good_at + self.timeout, self._heartbeat + self.settings.heartbeat_timeout)
        if self._law is None or self._law_parameters is None:
            return math.inf
        return self._next

    def act(self, now: float) -> Array | None:
        """Return the safe command (n,) that goes out at `now`, None if none does."""
        begins = self.mode is Mode.FORWARDING
        if now < self.due() - DUE_ROUNDING or (begins and self._resumes(now)):
            return None
        if begins:
            silent, beat = now - self._good_at, now - self._heartbeat
            late = silent >= self.timeout - DUE_ROUNDING
            missing, ago = ("command", silent) if late else ("heartbeat", beat)
            self._intervene(Mode.ACTING, f"no {missing} for {1e3 * ago:.0f} ms", now)
        if self._law is None or self._law_parameters is None:
            return None
        period = self._law_parameters.period
        # the silence before it is no time to brake in
        elapsed = period if begins else min(max(now - self._sent_at, 0.1 * period), LONGEST_STEP * period)
        u = self._law.command(elapsed, self.states.newest(now))
        # the due times are a grid: a late wake-up moves none, and what is over is left out
        self._next = now if begins else self._next
        self._next += period * (1.0 + math.floor((now - self._next + DUE_ROUNDING) / period))
        self._sent_at = now
        self._last = u
        self.counts["played"] += 1
        return u

    def was_paused(self, now: float) -> bool:
        """Return whether the guard itself was not run when a command was missing, or still listens after that."""
        known = self._parameters if self.mode is Mode.FORWARDING else None
        return known is not None and known.time is Time.WALL and self.pause.was_paused(now - self.due(), known.period)

    @property
    def at_rest(self) -> bool:
        """Whether the safe command only holds the arm, or none is needed."""
        return self._law is None or self._law.at_rest

    @property
    def carrying(self) -> Array | None:
        """Return the command (n,) that holds the arm; None before the first one."""
        last = None if self._last is None else np.array(self._last)
        return last if self._law is None else self._law.carrying

    @property
    def source(self) -> str:
        """The full name of the node whose commands are forwarded, '' before its parameters have come."""
        return "" if self._parameters is None else self._parameters.source

    def status(self, now: float) -> GuardStatus:
        """Return what is published of the guard's state."""
        return GuardStatus(
            self.mode.name,
            self.handover.waits_for or self.cause,
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

    @property
    def parameters(self) -> GuardParameters | None:
        """What mpc_node sent last; None before it."""
        return self._parameters

    @property
    def lockstep(self) -> bool:
        """Whether mpc_node counts states instead of time."""
        return self._parameters is not None and self._parameters.time is Time.LOCKSTEP

    @property
    def timeout(self) -> float:
        """After so long [s] a command counts as missing."""
        periods = 0.0 if self._parameters is None else self.settings.missing_periods * self._parameters.period
        return max(periods, self.settings.missing_time, self.least_timeout())

    # --- inside -------------------------------------------------------------------------------------------------------

    def _refuse(self, reason: str) -> str:
        self.refused[reason] += 1
        return reason

    def _forward(self, u: Sequence[float], label: str, parameters: GuardParameters, now: float) -> None:
        if self.mode is not Mode.FORWARDING:
            self.mode, self.cause, self._law = Mode.FORWARDING, f"commands of {parameters.source}", None
            self._speed.clear()
        elif label != self._last_label and self._last is not None:
            self._speed.add(self._last, (now - self._sent_at) / parameters.period)
        self._last, self._last_label, self._good_at, self._sent_at = u, label, now, now
        self.counts["forwarded"] += 1

    def _resumes(self, now: float) -> bool:
        """Return whether the guard was not run itself, and so listens, or goes on forwarding after that."""
        if self._parameters is None or not self.was_paused(now):
            return False
        if self.pause.listens(now, self._parameters.period):
            return True
        newest = self.pause.end()
        if newest is not None:
            self._last, self._last_label = newest
            self._good_at = self._sent_at = self._heartbeat = now
            self._speed.clear()
            self.counts["continued after a pause of its own"] += 1
        return newest is not None

    def _intervene(self, mode: Mode, cause: str, now: float) -> None:
        """Leave FORWARDING, or change why nothing is forwarded."""
        if self.mode is Mode.FORWARDING:
            self._law_parameters = self._parameters
            if self._law_parameters is not None and self._last is not None:
                told, last = self._law_parameters, np.array(self._last)
                begun = last, self._speed.before(last, told.period)
                if self.was_paused(now):  # it may have been stopped elsewhere meanwhile
                    begun = where_it_rests(told, self.states.newest(now), *begun)
                self._law = make_law(told, *begun)
            self.pause.end()
            self.epoch += 1
            self.counts["interventions"] += 1
            self._since = now
            self._next = self._sent_at + (0.0 if self._law_parameters is None else self._law_parameters.period)
        self.handover.restart()
        self.mode, self.cause = mode, cause

    def _hands_over(self, u: Array, parameters: GuardParameters, check: CommandCheck, now: float, late: float) -> bool:
        """Return whether this good command is the first one that goes out again."""
        if self.mode not in (Mode.WAITING, Mode.ACTING):
            self.counts["held back"] += 1
            return False
        if self.lockstep and self._last is None:
            return True  # the first command: it depends on no message that comes when it may
        beat = now - self._heartbeat <= self.settings.heartbeat_timeout
        near = self._last is None or check.near(u, np.array(self._last))
        if late > self.timeout + DUE_ROUNDING:
            self.handover.restart()
        ready = beat and parameters.epoch == self.epoch and self.at_rest and near
        return self.handover.add(parameters, ready=ready, begins=self._law is None)
