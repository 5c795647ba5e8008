"""Where joints are that move the end effector and are not controlled, as joint states report them.

A joint's position is the median of its last three reports, so that one bad sample of any size changes nothing. Reports
may come with those of the controlled joints or by themselves, at any rate; a joint stays where it was reported last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import Array
from .joint_order import JointOrder

REPORTS = 3  # of which the median counts
SILENT_FOR = 1.0  # [s] without a report of a joint, before that is said


class UncontrolledJoints:
    """The positions of `joints`; `unknown` are those of which no report has come yet."""

    def __init__(self, joints: Sequence[str]):
        self.joints = tuple(joints)
        self._reports: list[deque[float]] = [deque(maxlen=REPORTS) for _ in self.joints]
        self._stamp = -np.inf
        self._heard = [-np.inf] * len(self.joints)  # stamps of their newest reports [s]
        self._order = JointOrder(self.joints)

    @property
    def unknown(self) -> list[str]:
        """Joints of which no position has been reported."""
        return [joint for joint, reports in zip(self.joints, self._reports, strict=True) if not reports]

    def silent(self, stamp: float) -> list[str]:
        """Return the joints that were reported once, and not within SILENT_FOR before `stamp` [s]."""
        return [
            joint
            for joint, heard in zip(self.joints, self._heard, strict=True)
            if heard > -np.inf and stamp - heard > SILENT_FOR
        ]

    def names_any(self, names: Sequence[str]) -> bool:
        """Whether a message with `names` reports one of the joints."""
        return bool(len(self._order.some(names)[0]))

    def read(self, message: Any, stamp: float) -> Array | None:
        """Take in a report stamped `stamp` [s]; a repeated stamp has no effect.

        Parameters
        ----------
        message
            with the fields of a JointState.
        stamp
            of the message [s].

        Returns
        -------
        Array or None
            Positions (k,) [rad or m], NaN for joints that it does not report; None if it reports none.
        """
        joints, places = self._order.some(message.name)
        if not len(joints) or len(message.position) != len(message.name) or stamp == self._stamp:
            return None
        self._stamp = stamp
        positions = np.full(len(self.joints), np.nan)
        for joint, place in zip(joints, places, strict=True):
            value = float(message.position[place])
            if np.isfinite(value):
                self._reports[joint].append(value)
                self._heard[joint] = stamp
                positions[joint] = self._median(joint)
        return positions

    def _median(self, joint: int) -> float:
        """Return the median of three reports; of fewer the newest."""
        reports = self._reports[joint]
        return sorted(reports)[REPORTS // 2] if len(reports) == REPORTS else reports[-1]
