"""The commands a bag holds, ready for the tick that needs them: the replay reads a little ahead of itself.

A command of this package's node names the state it answers. One of another controller is held from its own moment
until the next, and what acts during a tick is its mean over [t, t + dt) in the bag's time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from ..messages.readers import JointOrder, Message, answered_stamp, command_joints
from ..types import Array

KEPT = 4096  # answers that no state has claimed


def key_of(stamp: float) -> int:
    """Stamps as whole nanoseconds, so that one that was spelled and read again is the same."""
    return round(1e9 * stamp)


class RecordedCommands:
    """Commands u (n,) of `joints` with |u| <= largest (n,). `strange` counts those that are no such commands, by reason."""

    def __init__(self, joints: Sequence[str], largest: Array):
        self.n, self._largest, self._order = largest.size, largest, JointOrder(joints)
        self.strange: Counter[str] = Counter()
        self.states_answered = 0
        self._answers: dict[int, Array] = {}
        self._held: deque[tuple[float, Array]] = deque()

    def add(self, time: float, message: Message) -> bool:
        """A command received at `time` [s]; whether it is a second answer to the same state."""
        u, names = np.array(message.data, dtype=np.float64), command_joints(message)
        if names and len(names) == u.size:
            index = self._order.resolve(names)
            u = u if isinstance(index, tuple) else u[index]
        if u.shape != (self.n,) or not (np.abs(u) <= self._largest).all():  # NaN too
            self.strange["wrong length" if u.shape != (self.n,) else "implausible value"] += 1
            return False
        self._held.append((time, u))
        answered = answered_stamp(message)
        if answered is None or not np.isfinite(answered):
            return False
        if key_of(answered) in self._answers:
            return True
        self._answers[key_of(answered)] = u
        self.states_answered += 1
        if len(self._answers) > KEPT:
            del self._answers[next(iter(self._answers))]
        return False

    def answer(self, stamp: float) -> Array | None:
        """The command (n,) that answered the state stamped `stamp` [s]."""
        return self._answers.get(key_of(stamp))

    def mean(self, begin: float, end: float) -> Array | None:
        """The mean (n,) over [begin, end) [s] of the command in effect; None before the first one. `begin` never falls."""
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
