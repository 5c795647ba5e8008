"""The commands of a bag, ready for the tick that needs them: the replay reads a little ahead.

A command of this package's node names the state it answers. One of another controller is held from its own moment
until the next, and what acts during a tick is its mean over [t, t + dt) in the bag's time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from ..messages.joint_order import JointOrder
from ..messages.readers import Message, answered_stamp, command_joints
from ..types import Array

COMMANDS_KEPT = 4096  # answers that are kept for their states


def key_of(stamp: float) -> int:
    """Return a stamp [s] as whole nanoseconds, so that one that was written as text and read again is the same."""
    return round(1e9 * stamp)


class RecordedCommands:
    """The recorded commands u (n,) of `joints`, in their order, with |u| <= largest (n,).

    `rejected` counts those that are no such commands, by reason; `states_answered` those that answer a state.
    """

    def __init__(self, joints: Sequence[str], largest: Array):
        self.n, self._largest, self._order = int(largest.size), largest, JointOrder(joints)
        self.rejected: Counter[str] = Counter()
        self.states_answered = 0
        self._answers: dict[int, Array] = {}
        self._held: deque[tuple[float, Array]] = deque()

    def add(self, time: float, message: Message) -> bool:
        """Add a command received at `time` [s]; return whether it is a second answer to the same state."""
        u, names = np.array(message.data, dtype=np.float64), command_joints(message)
        if names and len(names) == u.size:
            index = self._order.resolve(names)
            u = u if isinstance(index, tuple) else u[index]
        if u.shape != (self.n,) or not (np.abs(u) <= self._largest).all():  # NaN too
            self.rejected["wrong length" if u.shape != (self.n,) else "implausible value"] += 1
            return False
        self._held.append((time, u))
        answered = answered_stamp(message)
        if answered is None or not np.isfinite(answered):
            return False
        if key_of(answered) in self._answers:
            return True
        self._answers[key_of(answered)] = u
        self.states_answered += 1
        if len(self._answers) > COMMANDS_KEPT:
            del self._answers[next(iter(self._answers))]
        return False

    def answer(self, stamp: float) -> Array | None:
        """Return the command (n,) that answered the state stamped `stamp` [s]; None if there is none."""
        return self._answers.get(key_of(stamp))

    def mean(self, begin: float, end: float) -> Array | None:
        """Return the mean (n,) over [begin, end) [s] of the command in effect; None before the first one.

        `begin` may not fall from call to call.
        """
        while len(self._held) > 1 and self._held[1][0] <= begin:
            self._held.popleft()
        if not self._held or self._held[0][0] > begin:
            return None
        total, since, u = np.zeros(self.n), begin, self._held[0][1]
        for time, following in list(self._held)[1:]:
            if time >= end:
                break
            total += (time - since) * u
            since, u = time, following
        return (total + (end - since) * u) / (end - begin)
