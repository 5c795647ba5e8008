"""Joint states that come in several messages, put together: two drivers, or one message for each joint.

A state is complete once every joint has come since the last complete one. Its stamp is the newest of the joints'
stamps; the position of an older joint is continued with its velocity. A joint that is older than the time-out is not
used: the state then waits for it.
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


class JointAssembly:
    """Puts the messages for some of `joints` together; a joint may be at most `timeout` [s] older than the newest."""

    def __init__(self, joints: Sequence[str], timeout: float):
        self.joints, self._timeout = tuple(joints), timeout
        n = len(self.joints)
        self._stamps = np.full(n, -np.inf)
        self._new = np.zeros(n, dtype=bool)
        self._q, self._qd, self._effort = np.zeros(n), np.zeros(n), np.zeros(n)

    def clear(self) -> None:
        """Forget what waits: a message held every joint."""
        self._new[:] = False

    def add(self, stamp: float, values: JointValues) -> tuple[Array, Array, Array] | tuple[Rejection, str] | None:
        """Add a message.

        Returns
        -------
        tuple or None
            q, qd and effort, each (n,), of all joints at `stamp` [s]; or why the message has no effect; or None while
            joints are awaited that came recently.
        """
        at = values.joints
        known = self._stamps[at]
        if (known == stamp).any():
            return Rejection.DUPLICATE, f"stamp {stamp:.9f} of joint '{self.joints[at[0]]}' came twice"
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
        moved = np.where(np.isnan(self._qd), 0.0, self._qd) * age
        return self._q + moved, self._qd.copy(), self._effort.copy()
