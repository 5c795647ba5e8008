"""Applied commands: what acts on the robot, and from when on.

The command for the state stamped t that comes l periods late acts from t + floor(l) dt on; so it is recorded with the
controller, which learns from it. Where a feedback player answers states between two ticks, several commands act in one
period, and their mean is recorded when the period is over.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..config.sections.safety import SupervisorSettings
from ..controllers.base import Controller
from ..types import Array, Decision, Observation
from .feedback_player import FeedbackPlayer
from .interfaces import TickConditions
from .mailbox import Arrival
from .scheduling import CommandAge

SAME_COMMAND = 1e-3  # of a command's range: a command that differs by less is the same, computed on another machine
ON_TIME = (0, 1.0, 0.0)  # lateness [periods], authority, std [s] of a controller before the first command


class AppliedCommands:
    """Records with `controller` what acted, and tells it when commands act later than its delay says.

    `closed` tells whether the last command of a tick acted, not one of somebody else.

    Parameters
    ----------
    controller, conditions
        see controllers/base.py and interfaces.py.
    limits
        of the commands' age.
    dt
        the control period [s].
    player, player_period
        the feedback player, None where nothing is sent between ticks, and for how long [s] its commands hold.
    events
        counts commands that were a period late, and those between plans.
    """

    def __init__(
        self,
        controller: Controller,
        conditions: TickConditions,
        limits: SupervisorSettings,
        dt: float,
        player: FeedbackPlayer | None,
        player_period: float | None,
        events: Counter[str],
    ):
        self._controller, self._conditions, self._dt, self._events = controller, conditions, dt, events
        self._player, self.player_share = player, (player_period or dt) / dt
        # a command that is one period late is what the next plan expects, however long a period is
        self.age = CommandAge(
            dt, max(limits.late_warning, 1.2 * dt), max(limits.late_limit, 2.4 * dt), limits.late_release
        )
        span = controller.robot.command_upper - controller.robot.command_lower
        self._rounding: list[float] = (SAME_COMMAND * span).tolist()
        self.closed = True
        self._lateness: tuple[int, float, float] = ON_TIME  # what the controller was told last
        self._acted: list[Array] = []  # since the last tick, where there is a player

    def forget(self) -> None:
        """Forget everything, as a process that was started anew."""
        self._lateness = ON_TIME
        self._controller.adapt_to_lateness(*ON_TIME)
        self.restart()

    def restart(self) -> None:
        """Forget the present period and plan after an interruption."""
        self._acted = []
        if self._player is not None:
            self._player.new_epoch()

    def end_period(self, stamp: float) -> None:
        """Record the mean command of the period that began at the state stamped `stamp` [s]."""
        if self._acted:
            self._controller.record(stamp, np.mean(self._acted, axis=0))
            self._acted = []

    def between_ticks(self, observation: Observation) -> Array | None:
        """Return the player's command (nu,) for a state between two ticks; None without a valid plan."""
        joints = np.concatenate((observation.q, observation.qd))
        return None if self._player is None else self._player.command(observation.stamp, joints)

    def add_between_ticks(self, arrival: Arrival, u: Array) -> None:
        """Take note that u (nu,) was published for a state between two ticks."""
        self._acted.append(self._conditions.applied(arrival, u))
        self._events["commands between plans"] += 1

    def _are_same(self, one: list[float], other: list[float]) -> bool:
        """Return whether two commands differ by rounding only."""
        return one == other or all(abs(a - b) <= most for a, b, most in zip(one, other, self._rounding, strict=True))

    def add(self, arrival: Arrival, decision: Decision | None, u: Array, late: float, tick: int) -> None:
        """Take note that u (nu,) was published, `late` periods after its time, as the answer of tick number `tick`."""
        acted = self._conditions.applied(arrival, u)
        self.closed = acted is u or self._are_same(acted.tolist(), u.tolist())
        acts_from = self.age.sent(arrival.observation.stamp, late)
        expected = self._lateness[0]  # with which the plan was made
        lateness = self.age.expected, self.age.authority, self.age.std
        if lateness != self._lateness:
            self._lateness = lateness
            self._controller.adapt_to_lateness(*lateness)
        if self._player is None:
            self._controller.record(acts_from, acted)
            self._events["commands a period late"] += late >= 1.0
            return
        self._acted = [acted]  # recorded when the period is over: more commands will follow in it
        if decision is not None and decision.plan is not None:
            joints = np.concatenate((arrival.observation.q, arrival.observation.qd))
            delay = (self._controller.configuration.control.delay + expected) * self._dt
            self._player.take(decision.plan, decision.stamp, joints, delay, self._player.epoch, tick)
