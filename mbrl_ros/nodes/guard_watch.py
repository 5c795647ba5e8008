"""What mpc_node concludes from its guard's status and from the commands that come out of it. No ROS.

While the guard does not forward, it commands the arm and the supervisor follows. Once the guard's safe command has
come to rest, mpc_node begins again from the guard's command and acknowledges the intervention (its epoch). When the
guard forwards again, mpc_node commands the arm, after an intervention longer than `supervisor.stale_limit` in FAULT.

When the guard's commands no longer come though mpc_node's go on, the guard is silent, and then lost.

    silent   after max(SILENT_PERIODS, SILENT_TIME): the arm is braked from the guard's last command, past the guard
    lost     after max(LOST_PERIODS, LOST_TIME): FAULT

Commands go past the guard until it forwards one of those that say so (guard/command_bytes.py), or commands the arm
itself: then it was only late, and nobody commands the arm past it. A guard that is run again after a pause goes on
forwarding, since it has heard that (guard/own_pause.py); after a silence the motion goes on. A silence counts by
mpc_node's own ticks as well as by the clock: while mpc_node itself is not run, none passes. The guard itself brakes
the arm when it has not been run for as long, so that a silence is no reason to stop for which there was none before.

A guard that waits for its first command has not commanded the arm: it forwards that command whatever it is, and
mpc_node begins as without a guard. If it still waits after START_TIME, nothing that was sent has reached the robot, and
the guard counts as commanding the arm until it forwards.

In simulated time and in lockstep no guard counts as silent, and own ticks alone measure when it is lost. In lockstep
the first command does not wait for a status of the guard either, so that a run does not depend on when a message comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from ..guard.command_bytes import GUARD_LABEL, PAST_GUARD
from ..guard.messages import GuardStatus, Mode, Time
from ..safety.state_machine import Guard, Request
from ..types import Array

LOST_PERIODS, LOST_TIME = 4.0, 0.1  # periods and [s] without a command from the guard, whichever is longer
SILENT_PERIODS, SILENT_TIME = 2.0, 0.015
START_PERIODS, START_TIME = 2.0, 0.02  # periods and [s] for the first command to be forwarded, whichever is longer
SILENT_TICKS = 2  # own commands which did not come back
ADOPTED_AGAIN = 1.0  # [s] after which its command is taken over anew: own ones may have left it, and it waits for them
COMMAND_CHANGED = 0.002  # of a command's range: the guard's command has moved on, for example with a new load
GUARD_REQUESTS = {Mode.HOLD: Request.HOLD, Mode.E_STOP: Request.E_STOP}


class GuardWatch:
    """The conclusions, and what follows from them; its methods may be called from any thread.

    Parameters
    ----------
    period
        of the control loop [s].
    stale_limit
        an intervention of the guard that lasted longer ends in FAULT [s].
    span
        (n,) the range of a command.
    override
        tells the supervisor what the guard does, and its command (n,) or None.
    request
        what somebody asked of the guard is asked of the supervisor, too.
    time
        what the periods are counted in.
    """

    def __init__(
        self,
        period: float,
        stale_limit: float,
        span: Array,
        *,
        override: Callable[[Guard, Array | None], None],
        request: Callable[[Request], object],
        time: Time = Time.WALL,
    ):
        self._by_ticks, self._lockstep = time is not Time.WALL, time is Time.LOCKSTEP
        self._lost_after = max(LOST_PERIODS * period, LOST_TIME)
        self._lost_ticks = int(np.ceil(self._lost_after / period))
        self._start_ticks = int(np.ceil(max(START_PERIODS * period, START_TIME) / period))
        self._silent_after = max(SILENT_PERIODS * period, SILENT_TIME)
        self._stale_limit, self._span, self._override, self._request = stale_limit, span, override, request
        self._lock = threading.Lock()
        self.status: GuardStatus | None = None
        self.status_at = -np.inf  # when it came [s]
        self.epoch = -1  # the intervention that is acknowledged
        self.overridden = not self._lockstep
        self.past_guard = self.lost = False  # whether commands go past the guard, and whether it counts as lost
        self._has_forwarded, self._lasted, self._asked = False, 0.0, False
        self._adopted: Array | None = None
        self._adopted_at = 0.0  # [s] since its last forwarded command
        self._ticked = self._starting = False  # since begin: a tick has been; the guard waits for its first command
        self._heard_at, self._ticks = -np.inf, 0  # the guard's last command [s], own ticks since then
        self._hears = False  # whether its commands come at all

    def begin(self, waiting: GuardStatus | None = None) -> None:
        """Begin overridden, but not in lockstep, nor if `waiting` tells that the guard waits for its first command."""
        with self._lock:
            before = self.overridden or self.past_guard
            self._ticked, self._starting = False, waiting is not None and not self._lockstep
            self.overridden = not (self._lockstep or self._starting)
            self.status, self.epoch = waiting, -1 if waiting is None else waiting.epoch
            self.past_guard = self.lost = False
            self._has_forwarded, self._lasted, self._adopted, self._asked = False, 0.0, None, False
            self._ticks, self._hears = 0, False
            if self.overridden:
                self._override(Guard.ACTS, None)
            elif before:
                self._override(Guard.FORWARDS, None)

    def heard(self, now: float, label: str = "") -> None:
        """Take note of a command on the robot's topic that came at `now` [s].

        `label`: its own, needed while commands go past the guard, since those come, too.
        """
        own = label == GUARD_LABEL
        if self.past_guard and not (own or label.endswith(PAST_GUARD)):
            return
        self._heard_at, self._ticks, self._hears = now, 0, True
        if self.past_guard:
            with self._lock:
                self._on_command_again(own)

    def before_tick(self, now: float) -> bool:
        """Notice that the guard is silent before the next command leaves; return whether it is since just now."""
        if self._ticks < SILENT_TICKS or now - self._heard_at < self._silent_after or self._by_ticks:
            return False
        with self._lock:
            if self.past_guard or not (self._commands and self._hears):
                return False
            self.past_guard = True
            self._override(Guard.SILENT, None)
            return True

    def take_status(self, status: GuardStatus, now: float) -> None:
        """Act upon the guard's status, with its command in the robot's order."""
        with self._lock:
            before, self.status, self.status_at = self.status, status, now
            if status.state == Mode.FORWARDING:
                self._on_forwarding(status, now)
            else:
                self._on_intervention(status, before)

    def after_tick(self, now: float, *, behind: bool = False) -> bool:
        """Notice that the guard is lost; return whether it was lost just now.

        `behind`: states of lockstep still wait for their commands, and the guard for that to the newest; or /clock
        stands still, where a tick takes no time.
        """
        with self._lock:
            self._ticked = True
            self._ticks = 0 if behind else self._ticks + 1
            if self._starting and self._ticks > self._start_ticks:
                self._starting, self.overridden = False, True
                self._override(Guard.ACTS, None)
            recent = not self._by_ticks and now - self._heard_at < self._lost_after
            if self.lost or not self._commands or self._ticks < self._lost_ticks or recent:
                return False
            self.past_guard = self.lost = True
            self.overridden = False
            self._override(Guard.LOST, None)
            return True

    @property
    def _commands(self) -> bool:
        """Whether the guard sends commands, forwarded or its own."""
        status = self.status
        return status is not None and (
            status.state == Mode.FORWARDING or status.state != Mode.WAITING and status.u is not None
        )

    def _on_forwarding(self, status: GuardStatus, now: float) -> None:
        self._has_forwarded |= self._lockstep or self._starting
        if self._starting:
            self._starting, self._heard_at, self._ticks = False, now, 0
        silent = self.past_guard and not self._by_ticks  # until a command that it forwards has come
        if status.epoch != self.epoch or silent or not (self.overridden or self.past_guard):
            return
        too_long = self.overridden and self._has_forwarded and not self._asked and self._lasted > self._stale_limit
        self.overridden, self._has_forwarded, self._adopted = False, True, None
        self.past_guard = self.lost = False
        self._heard_at, self._ticks = now, 0
        self._override(Guard.ACTED_TOO_LONG if too_long else Guard.FORWARDS, None)

    def _on_intervention(self, status: GuardStatus, before: GuardStatus | None) -> None:
        self._lasted = status.lasted
        waits = status.state == Mode.WAITING and (self._lockstep or self._starting)  # for any good command
        if status.state == Mode.WAITING and self.overridden and not self._ticked:
            self._starting, self.overridden, self.epoch = True, False, status.epoch
            self._override(Guard.FORWARDS, None)
            return
        self._starting &= waits
        if waits and not self.overridden or self.past_guard and status.u is None:
            self.epoch = status.epoch  # it is back, or begins; it takes over with this node's first good command
            return
        late = self.past_guard  # it was only late, and holds the arm: two must not command it
        self.past_guard = self.lost = False
        if late or not self.overridden:
            self.overridden, self._adopted, self._asked = True, None, self._asked and self.overridden
            self._heard_at, self._ticks = max(self._heard_at, self.status_at), 0
            self._override(Guard.ACTS, None)
        if self._has_forwarded and status.state in GUARD_REQUESTS and (before is None or before.state != status.state):
            self._asked = True
            self._request(GUARD_REQUESTS[Mode(status.state)])
        if not status.at_rest:
            return
        again = status.lasted - self._adopted_at > ADOPTED_AGAIN
        if status.u is not None and (self.epoch != status.epoch or self._moved_on(status.u) or again):
            self._adopted, self._adopted_at = status.u, status.lasted
            self._override(Guard.ACTS, status.u)
        self.epoch = status.epoch

    def _on_command_again(self, own: bool) -> None:
        """Let the guard command or forward alone that was silent or lost; `own`: it commands the arm itself."""
        if not self.past_guard:
            return
        self.past_guard = self.lost = False
        self.overridden, self._adopted, self._asked = own, None, own and self._asked and self.overridden
        self._has_forwarded |= not own
        self._override(Guard.ACTS if own else Guard.FORWARDS, None)

    def _moved_on(self, u: Array) -> bool:
        return self._adopted is None or bool((np.abs(u - self._adopted) > COMMAND_CHANGED * self._span).any())
