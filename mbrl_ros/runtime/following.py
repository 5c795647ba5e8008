r"""Whether a robot with the velocity or position interface moves as it is commanded.

Over the last w periods joint j moves by d_j. The commands of w periods that ended s = 0 ... S_j seconds ago, beyond the
delay, ask for D_j(s): a servo lags behind, and its motion is a mean of those. With the least and the greatest of them,
L_j <= G_j, and y_j = MOVING v_max_j w dt the joint fails while

    d_j < L_j - m(-L_j)   or   d_j > G_j + m(G_j),      m(D) = max((1/FOLLOWED - 1) D, FURTHER y_j)    for D >= -y_j
                                                               max((1 - COVERED) |D|, y_j)            for D < -y_j

so a joint fails that is switched off or blocked and covers nothing, or that goes on by itself. The robot does not
follow once that has held for FAILS_FOR seconds, more often than not. S_j is SLOWEST_SERVO until motion has shown that
the joint lags less: then MARGIN times the longest s that explains the motion, and at least QUICK seconds.

The robot follows again once no joint fails and, over the last MATCHING seconds, commands an unchanging s ago explain
the motion of each joint, e_j < MISMATCH D_j^2 or e_j < y_j^2, and of one that they move, D_j > y_j, by the former:

    e_j = min_s mean (d_j - D_j(s))^2,      D_j^2 = mean D_j(s)^2.

Until then nothing is to be learned, and neither while a joint fails or in the first NOT_LEARNED seconds in which the
speed of a joint that is to be FAST MOVING v_max_j or faster (position interface: MOVING v_max_j) is below
MOVES_AS_COMMANDED of its commands'; a model that has seen its input without effect for three periods plans with the
wrong sign. What was learned in the last FORGET_BEFORE seconds before the robot was found not to follow is to be
forgotten.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from ..robots import Robot
from ..types import Array

COMPARED, SLOWEST_SERVO, FAILS_FOR, FORGET_BEFORE = 0.02, 0.25, 0.1, 0.5  # [s]
FEWEST, FEWEST_FAILING = 2, 5  # ... and at least so many periods: of the window, of what lasts
COVERED, FOLLOWED, OFF, MOVING, FURTHER = 0.3, 0.6, 0.3, 0.03, 3.0
SOONER, SLOWLY = 1.7, 0.1  # periods that a failing joint of known lag counts; that a period without a motion does
NOT_LEARNED, MOVES_AS_COMMANDED, FAST = 0.3, 0.75, 3.0  # [s]; of the speed; of MOVING
QUICK, MARGIN = 0.05, 2.0  # [s]; of the lag
LAG_MEMORY, EXCLUDED, WORSE = 1.0, 16.0, 4.0  # [s]; y_j^2 and times the least squared error by which a lag is excluded
MATCHING, MISMATCH = 0.25, 0.1  # [s]; of the mean square
ELSEWHERE = 0.02  # [s] at the speed limit that a resting joint is away from where it is held


class FollowingMonitor:
    """Compares motion with commands for the period `dt` [s]; `delay` [s] is that of the commands.

    `following` tells whether the robot has followed since it was last found not to; `learning_suspended` whether
    nothing is to be learned from the last period, and `to_forget` for how long before it [s] what was learned is to be
    forgotten.
    """

    def __init__(self, robot: Robot, dt: float, delay: float):
        self._watched, self._velocity = robot.interface != "effort", robot.interface == "velocity"
        size = self._size = max(FEWEST, round(COMPARED / dt))
        self._slowest = max(FEWEST, round(SLOWEST_SERVO / dt))
        self._lasting = max(FEWEST_FAILING, round(FAILS_FOR / dt))
        self._still: Array = MOVING * robot.velocity_limit * size * dt
        self._rest, self._away = MOVING * robot.velocity_limit, ELSEWHERE * robot.velocity_limit
        self._fast = (FAST if self._velocity else 1.0) * self._still
        # positions to which the commands lead, the newest last; measured ones
        self._asked: deque[Array] = deque(maxlen=size + self._slowest + round(delay / dt) + 1)
        self._moved: deque[Array] = deque(maxlen=size + 1)
        self._dt, self._count, self._slow, self._longest_suspension = dt, 0.0, 0, round(NOT_LEARNED / dt)
        self._lags = _Lags(robot.n, dt, self._slowest, self._still)
        # (what the commands asked for, motion) of every tick in which the robot does not follow
        self._compared: deque[tuple[Array, Array]] = deque(maxlen=max(FEWEST_FAILING, round(MATCHING / dt)))
        self.following, self.learning_suspended, self.to_forget = True, False, 0.0

    def restart(self) -> None:
        """Begin anew: what was commanded before no longer counts."""
        self._asked.clear()
        self._moved.clear()
        self._compared.clear()
        self._count, self._slow = 0.0, 0

    def forget(self) -> None:
        """Begin anew with a robot that follows."""
        self.restart()
        self._lags.forget()
        self.following, self.learning_suspended, self.to_forget = True, False, 0.0

    def finds_elsewhere(self, before: Array, q: Array, qd: Array, command: Array) -> bool:
        """Return whether the robot rests elsewhere than the position `command` (n,) in effect holds it.

        It then does not follow until it has moved as it is commanded.

        Parameters
        ----------
        before
            (n,) the position measured before a time without states or commands: from the command then it was as far
            away as a servo that gives way to a load.
        q, qd
            (n,) measured position and velocity after that time.
        """
        if self._velocity or not self._watched or not self._asked or (np.abs(qd) > self._rest).any():
            return False
        away, held = command - q, self._asked[-1] - before
        elsewhere = bool(((np.abs(away) > self._away) & (np.abs(away - held) > self._away)).any())
        self.following &= not elsewhere
        return elsewhere

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
        self.to_forget = 0.0
        if self._asked.maxlen != len(self._asked):
            self.learning_suspended = not self.following
            return False
        positions = np.array(self._asked)[: self._size + self._slowest + 1]
        asked = positions[self._size :] - positions[: self._slowest + 1]  # (shifts, n), the newest commands last
        motion = self._moved[-1] - self._moved[0]
        failing = self._judge(asked, motion)
        lost = again = False
        if self.following:
            self.following = self._count < self._lasting
            lost = not self.following
            if not failing:
                self._lags.compare(asked, motion)
        else:
            self._compared.append((asked, motion))
            again = self.following = not failing and self._matches()
        if lost or again:
            self._count, self.to_forget = 0.0, FORGET_BEFORE if lost else 0.0
            self._compared.clear()
            if lost:
                self._lags.forget()
        self._suspend_learning(asked, qd)
        return lost or again

    def _judge(self, asked: Array, motion: Array) -> bool:
        """Count for how long the motion (n,) of a joint was not what was asked for (shifts, n); return whether it is.

        A motion as it was asked for counts against it, rest at an unchanging command only a little.
        """
        considered, known = self._lags.considered, self._lags.known
        least = np.where(considered, asked, np.inf).min(axis=0)
        most = np.where(considered, asked, -np.inf).max(axis=0)
        failing = (motion < least - self._room(-least)) | (motion > most + self._room(most))
        if failing.any():
            self._count += SOONER if (failing & known).any() else 1.0
            return True
        moves = (np.maximum(least, -most) > self._still).any()
        self._count = max(0.0, self._count - (1.0 if moves else SLOWLY))
        return False

    def _room(self, asked: Array) -> Array:
        """Return by how much a joint may move further than was `asked` (n,), in the direction of its positive sign."""
        further = np.maximum((1.0 / FOLLOWED - 1.0) * asked, FURTHER * self._still)
        room = np.where(asked >= -self._still, further, np.maximum((COVERED - 1.0) * asked, self._still))
        known: Array = np.maximum(OFF * np.abs(asked), FURTHER * self._still)
        return np.where(self._lags.known, np.minimum(room, known), room)

    def _matches(self) -> bool:
        """Return whether commands of an unchanging time ago explain the motion since the robot did not follow."""
        if len(self._compared) != self._compared.maxlen:
            return False
        asked, motion = (np.array(part) for part in zip(*self._compared, strict=True))
        squares, errors = np.square(asked).sum(axis=0), np.square(motion[:, None] - asked).sum(axis=0)  # (shifts, n)
        small = len(motion) * self._still**2
        explained = errors < MISMATCH * squares
        return bool((explained & (squares > small)).any() and (explained | (errors < small)).any(axis=0).all())

    def _suspend_learning(self, asked: Array, qd: Array) -> None:
        """Judge whether anything is to be learned from the last period, at whose end the velocities are qd (n,)."""
        one_way = np.abs(np.sign(asked).sum(axis=0)) > self._slowest
        least = np.abs(asked).min(axis=0)
        moved = np.sign(asked[-1]) * qd * self._size * self._dt
        slow = bool(((least > self._fast) & one_way & (moved < MOVES_AS_COMMANDED * least)).any())
        self._slow = self._slow + 1 if slow else 0
        suspended = 0 < self._slow <= self._longest_suspension or not self.following
        self.learning_suspended = suspended or self._count > 0.0


class _Lags:
    """By how many periods, 0 to `slowest`, each joint may lag behind its commands; `considered` (shifts, n) tells."""

    def __init__(self, n: int, dt: float, slowest: int, still: Array):
        self._slowest, self._still = slowest, still
        self._share, self._quick = min(1.0, dt / LAG_MEMORY), round(QUICK / dt)
        self._periods = np.arange(slowest, -1, -1)[:, None]  # of each shift
        self._errors: Array = np.zeros((slowest + 1, n))
        self.considered: NDArray[np.bool_] = np.ones((slowest + 1, n), dtype=bool)
        self.known: NDArray[np.bool_] = np.zeros(n, dtype=bool)

    def forget(self) -> None:
        """Take every lag for possible."""
        self._errors = np.zeros_like(self._errors)
        self.considered, self.known = np.ones_like(self.considered), np.zeros_like(self.known)

    def compare(self, asked: Array, motion: Array) -> None:
        """Take in what commands asked for (shifts, n) and the motion (n,) that followed."""
        errors = np.square(motion - asked)
        explained = np.where(self.considered, errors, np.inf).min(axis=0) < self._still**2
        told = explained & (asked.max(axis=0) - asked.min(axis=0) > self._still)
        if not told.any():
            return
        self._errors = np.where(told, (1.0 - self._share) * self._errors + errors, self._errors)
        least = self._errors.min(axis=0)
        possible = self._errors <= WORSE * least + EXCLUDED * self._still**2
        longest = np.where(possible, self._periods, 0).max(axis=0)
        self.considered &= self._periods <= np.maximum(MARGIN * longest, self._quick)
        self.known = ~self.considered[0]
