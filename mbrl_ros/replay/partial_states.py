"""Joint states of a robot whose joints come in several messages, put together as the controller does it.

A message with none of the robot's joints (a gripper's, on the same topic) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace

import numpy as np

from ..config.sections.control import ControlSettings
from ..messages.joint_assembly import JointAssembly, JointValues, WholeState
from ..messages.joint_order import Index, JointOrder
from ..messages.readers import Message, seconds
from ..types import Array


class PartialStates:
    """Messages to states of the robot's `joints`; `parts` counts messages with some of them, `foreign` with none."""

    def __init__(self, joints: Sequence[str]):
        self.joints, self.parts, self.foreign = tuple(joints), 0, 0
        self._order = JointOrder(self.joints)
        self._assembly = JointAssembly(self.joints, ControlSettings().state_timeout)

    @classmethod
    def wanted(cls, joints: Sequence[str], found: Iterable[str]) -> PartialStates | None:
        """Return what puts states together; None where the joints are not known, or not `found` in the messages."""
        return cls(joints) if joints and set(joints) <= set(found) else None

    def whole(self, message: Message) -> Message | None:
        """Return a message with every joint; None where others are awaited, or it holds none of them."""
        held, at = self._order.some(message.name)
        if len(held) == len(self.joints):
            return message
        if not len(held):
            self.foreign += 1
            return None
        self.parts += 1
        q, qd, effort = (_picked(values, at) for values in (message.position, message.velocity, message.effort))
        joined = self._assembly.add(seconds(message.header.stamp), JointValues(held, q, qd, effort))
        if not isinstance(joined, WholeState):
            return None
        sec, nanosec = divmod(round(1e9 * joined.stamp), 10**9)
        header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
        return SimpleNamespace(
            header=header, name=list(self.joints), position=joined.q, velocity=joined.qd, effort=joined.effort
        )


def _picked(values: Sequence[float], at: Index) -> Array:
    """Return the values at some places; NaN where there is none."""
    return np.array([values[k] if k < len(values) else np.nan for k in at], dtype=np.float64)
