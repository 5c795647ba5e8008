"""Whether a tick continues the one before it, or begins anew at the robot's state.

It begins anew after
    - a leap of the stamps, judged where the state came in, or a step of them above the longest gap,
    - a time without a command of this process above the longest gap, whatever waits in its queues afterwards,
    - motion that is not the commanded one (following.py).

A robot with the position interface that rests elsewhere after such a time than the last command holds it, as one that
was switched off and on does, is commanded to stay there, and does not count as following before it has moved.

The longest gap is the time-out of the states, and never less than LONGEST_GAP_PERIODS periods. What a clock judged is
given by the conditions, so that a replay repeats it; the rest follows from stamps, positions and commands.
"""

from __future__ import annotations

from ..controllers.base import Controller
from ..safety.state_machine import NO_REASON, Reason
from ..types import Array, Observation
from .following import FollowingMonitor

LONGEST_GAP_PERIODS = 3.0  # periods


def longest_gap(dt: float, timeout: float) -> float:
    """Return the longest time [s] between two ticks of which the second one continues the first."""
    return max(timeout + 0.5 * dt, LONGEST_GAP_PERIODS * dt)


class Interruptions:
    """Finds interruptions of a controller with the period `dt` [s] and the time-out `timeout` [s] of its states.

    `following` watches whether the robot follows its commands.
    """

    def __init__(self, controller: Controller, dt: float, timeout: float):
        self._gap = longest_gap(dt, timeout)
        self.following = FollowingMonitor(controller.robot, dt, controller.configuration.control.delay * dt)

    def cause(self, judged: Reason, before: Observation, observation: Observation, command: Array) -> Reason:
        """Return why the tick of `observation` does not continue that of `before`; NONE: it does.

        NOT_FOLLOWING besides another reason: the robot rests elsewhere than it is held.

        Parameters
        ----------
        judged
            what a clock has found.
        before, observation
            the last state that was answered and the present one.
        command
            the command (nu,) in effect.
        """
        if not judged and not 0.0 < observation.stamp - before.stamp <= self._gap:
            judged = Reason.CLOCK_JUMP
        if judged:
            elsewhere = self.following.finds_elsewhere(before.q, observation.q, observation.qd, command)
            return judged | Reason.NOT_FOLLOWING if elsewhere else judged
        return Reason.NOT_FOLLOWING if self.following.begins_anew(observation.q, observation.qd) else NO_REASON
