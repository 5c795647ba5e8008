"""Joint states that come in several messages, put together: two drivers, or one message for each joint.

A state is complete once every joint has come since the last complete one. Its stamp is the newest of the joints'
stamps; the position of an older joint is continued with its velocity. A joint that is older than the time-out is not
used: the state then waits for it. A simulation that waits for its command sends the messages of a state again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..types import Array
from .input_gate import Rejection


class JointValues(NamedTuple):
    """What a message says: q, qd and effort, each (k,), of `joints`; NaN where it was not measured."""

    joints: NDArray[np.intp]  # (k,) indices of the robot's joints
    q: Array
    qd: Array
    effort: Array


class WholeState(NamedTuple):
    """q, qd and effort, each (n,), of all joints at `stamp` [s]; NaN where it was not measured."""

    stamp: float
    q: Array
    qd: Array
    effort: Array


class JointAssembly:
    """Puts the messages for some of `joints` together; a joint may be at most `timeout` [s] older than the newest."""

    def __init__(self, joints: Sequence[str], timeout: float):
        self.joints, self._timeout = tuple(joints), timeout
        n = len(self.joints)
        self._stamps = np.full(n, -np.inf)
        self._new, self._again = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self._q, self._qd, self._effort = np.zeros(n), np.zeros(n), np.zeros(n)

    def clear(self) -> None:
        """Forget what waits: a message held every joint."""
        self._new[:] = False

    def add(self, stamp: float, values: JointValues) -> WholeState | tuple[Rejection, str] | None:
        """Add a message stamped `stamp` [s].

        Returns
        -------
        WholeState or tuple or None
            The state; or why the message has no effect; or None while joints are awaited that came recently. The last
            state is returned again once each of its messages has come again.
        """
        at = values.joints
        known = self._stamps[at]
        if (known == stamp).any():
            if self._sent_again(known == stamp, values):
                return self._whole()
            return Rejection.DUPLICATE, f"stamp {stamp:.9f} of joint '{self.joints[at[0]]}' came twice"
        self._again[:] = False
        if (known > stamp).any():  # another time line, or out of order
            self._stamps[:] = -np.inf
            self._new[:] = False
        self._stamps[at], self._new[at] = stamp, True
        self._q[at], self._qd[at], self._effort[at] = values.q, values.qd, values.effort
        age = self._stamps.max() - self._stamps
        old = [joint for joint, late in zip(self.joints, age > self._timeout, strict=True) if late]
        if old:
            return Rejection.MISSING_JOINTS, f"joints {old} have not come within {self._timeout:g} s"
        if not self._new.all():
            return None
        self._new[:] = False
        return self._whole()

    def _whole(self) -> WholeState:
        newest = float(self._stamps.max())
        moved = np.where(np.isnan(self._qd), 0.0, self._qd) * (newest - self._stamps)
        return WholeState(newest, self._q + moved, self._qd.copy(), self._effort.copy())

    def _sent_again(self, same: NDArray[np.bool_], values: JointValues) -> bool:
        """Whether the last state has come again as a whole with this message, of whose stamps `same` (k,) are known."""
        at = values.joints
        equal = np.array_equal(values.q, self._q[at]) and np.array_equal(values.qd, self._qd[at], equal_nan=True)
        if self._new.any() or not (same.all() and equal):
            return False
        self._again[at] = True
        if not self._again.all():
            return False
        self._again[:] = False
        return True
