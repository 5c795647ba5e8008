r"""Whether a robot with the velocity or position interface moves as it is commanded.

Over the last w periods joint j moves by d_j. The commands that may cause this motion are those of w periods that ended
s = 0 ... SLOWEST_SERVO seconds ago, beyond the delay, since a servo lags behind; they ask for D_j(s). The joint fails
while

    all D_j(s) have one sign,   D_j = min_s |D_j(s)| > MOVING v_max_j w dt,   sign(D_j) d_j < COVERED D_j,

and the robot does not follow once that has held for FAILS_FOR seconds. A joint that is switched off or blocked covers
nothing. The robot follows again once no joint fails and one has covered FOLLOWED of what the commands of every s ask
for. Until then nothing is to be learned, and neither in the first NOT_LEARNED seconds in which the speed of a joint
that is to be FAST MOVING v_max_j or faster (position interface: MOVING v_max_j) is below MOVES_AS_COMMANDED of its
commands'; a model that has seen its input without effect for three periods plans with the wrong sign.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..robots import Robot
from ..types import Array

COMPARED, SLOWEST_SERVO, FAILS_FOR = 0.02, 0.25, 0.1  # [s]
FEWEST, FEWEST_FAILING = 2, 5  # ... and at least so many periods: of the window, of what lasts
COVERED, FOLLOWED, MOVING = 0.3, 0.6, 0.03
NOT_LEARNED, MOVES_AS_COMMANDED, FAST = 0.3, 0.75, 3.0  # [s]; of the speed; of MOVING


class FollowingMonitor:
    """Compares motion with commands for the period `dt` [s]; `delay` [s] is that of the commands.

    `following` tells whether the robot has followed since it was last found not to; `learning_suspended`
    whether nothing is to be learned from the last period.
    """

    def __init__(self, robot: Robot, dt: float, delay: float):
        self._watched, self._velocity = robot.interface != "effort", robot.interface == "velocity"
        size = self._size = max(FEWEST, round(COMPARED / dt))
        self._slowest = max(FEWEST, round(SLOWEST_SERVO / dt))
        self._lasting = max(FEWEST_FAILING, round(FAILS_FOR / dt))
        self._still = MOVING * robot.velocity_limit * size * dt
        self._fast = (FAST if self._velocity else 1.0) * self._still
        # positions to which the commands lead, the newest last; measured ones
        self._asked: deque[Array] = deque(maxlen=size + self._slowest + round(delay / dt) + 1)
        self._moved: deque[Array] = deque(maxlen=size + 1)
        self._dt, self._count, self._slow, self._longest_suspension = dt, 0, 0, round(NOT_LEARNED / dt)
        self.following, self.learning_suspended = True, False

    def restart(self) -> None:
        """Begin anew: what was commanded before no longer counts."""
        self._asked.clear()
        self._moved.clear()
        self._count = self._slow = 0

    def forget(self) -> None:
        """Begin anew with a robot that follows."""
        self.restart()
        self.following, self.learning_suspended = True, False

    def add_command(self, u: Array) -> None:
        """Take note of the applied command u (n,) in answer to the newest state."""
        if self._watched:
            before = self._asked[-1] if self._asked else np.zeros(len(u))
            self._asked.append(before + self._dt * u if self._velocity else np.array(u))

    def begins_anew(self, q: Array, qd: Array) -> bool:
        """Take in the measured q, qd (n,) of the next tick; return whether the motion is to begin anew there.

        That is when the robot is found not to follow, and when it is found to follow again.
        """
        if not self._watched:
            return False
        self._moved.append(np.array(q))
        if self._asked.maxlen != len(self._asked):
            self.learning_suspended = not self.following
            return False
        size, slowest = self._size, self._slowest
        positions = np.array(self._asked)[: size + slowest + 1]
        asked = positions[size:] - positions[: slowest + 1]  # (shifts, n)
        one_way = np.abs(np.sign(asked).sum(axis=0)) > slowest
        least, most = np.abs(asked).min(axis=0), np.abs(asked).max(axis=0)
        asks = one_way & (least > self._still)
        covered = np.sign(asked[-1]) * (self._moved[-1] - self._moved[0])
        failing = bool((asks & (covered < COVERED * least)).any())
        again = False
        if not failing and (asks & (covered > FOLLOWED * least) & (covered < most / FOLLOWED)).any():
            again, self.following = not self.following, True
        self._count = self._count + 1 if failing else 0
        lost = self._count >= self._lasting
        self.following &= not lost
        moved = np.sign(asked[-1]) * qd * size * self._dt
        slow = bool(((least > self._fast) & one_way & (moved < MOVES_AS_COMMANDED * least)).any())
        self._slow = self._slow + 1 if slow else 0
        self.learning_suspended = 0 < self._slow <= self._longest_suspension or not self.following
        return lost or again
