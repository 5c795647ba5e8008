"""Joints of the arm that come in several joint states, put together: two drivers, or one message for each joint.

A state is complete once every joint has come since the last complete one. Its stamp is the newest of the joints'
stamps s_i, and an older joint is continued with its velocity, q_i + (s - s_i) qd_i. mpc_node does the same
(messages/joint_assembly.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .messages import Array

MOST_LAYOUTS = 64  # lists of names that are remembered


class Part(NamedTuple):
    """What a message says: positions q and velocities qd (k,) of `joints`; a velocity that is not measured is NaN."""

    joints: list[int]
    q: Array
    qd: Array


class Layouts:
    """Which of the names of a message are `joints`, remembered for each list of names."""

    def __init__(self, joints: Sequence[str]):
        self._joints = {name: k for k, name in enumerate(joints)}
        self._known: dict[tuple[str, ...], tuple[list[int], list[int]]] = {}

    def find(self, names: Sequence[str]) -> tuple[list[int], list[int]]:
        """Return which joints `names` hold and where, both (k,) and in the order of the joints."""
        key = tuple(names)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_LAYOUTS:
                self._known.clear()
            places = {self._joints[name]: at for at, name in enumerate(key) if name in self._joints}
            joints = sorted(places)
            found = self._known[key] = joints, [places[joint] for joint in joints]
        return found


class JointParts:
    """Puts the messages for some of n joints together."""

    def __init__(self, n: int):
        self._stamps, self._q, self._qd = np.full(n, -np.inf), np.zeros(n), np.zeros(n)
        self._new = np.zeros(n, dtype=bool)

    def clear(self) -> None:
        """Await every joint."""
        self._new[:] = False

    def add(self, stamp: float, part: Part, timeout: float) -> tuple[float, Array, Array] | str:
        """Add a message stamped `stamp` [s]; a joint may be at most `timeout` [s] older than the newest.

        Returns
        -------
        tuple or str
            stamp [s], q and qd (n,) of a complete state; else why there is none: '' while joints are awaited that have
            come within the time-out.
        """
        at = part.joints
        if (self._stamps[at] == stamp).any():
            return "not newer"
        if (self._stamps[at] > stamp).any():  # another time line, or out of order
            self._stamps[:], self._new[:] = -np.inf, False
        self._stamps[at], self._q[at], self._qd[at], self._new[at] = stamp, part.q, part.qd, True
        newest = float(self._stamps.max())
        age = newest - self._stamps
        if (age > timeout).any():
            return "joints missing"
        if not self._new.all():
            return ""
        self.clear()
        return newest, self._q + age * np.nan_to_num(self._qd), self._qd.copy()


class Awaited:
    """Tells when every one of n joints has come since the last time."""

    def __init__(self, n: int):
        self._joints = range(n)
        self._missing = set(self._joints)

    def completes(self, joints: Sequence[int]) -> bool:
        """Return whether a message with `joints` is the last one of a state."""
        self._missing -= set(joints)
        whole = not self._missing or len(joints) == len(self._joints)
        if whole:
            self._missing = set(self._joints)
        return whole
