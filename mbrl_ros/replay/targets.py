"""Recorded targets, given to the controller when the node gave them.

Without a numbered status that is when they were recorded. With one, target k is given before the first command whose
status counts k targets: the recorder may have seen target and state in another order than the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..exceptions import MbrlError
from ..messages.readers import (
    JointOrder,
    Message,
    read_feature_target,
    read_joint_target,
    read_point_target,
    read_pose_target,
    read_trajectory_target,
    seconds,
)
from ..robots import Robot
from .topics import Mapped

APART = (
    0.5  # [s] by which recorder and node may see things at different times; a target is never given earlier or later
)


class Targets:
    """For the controller of `robot`; note(text) is told why one is refused."""

    def __init__(self, controller, robot: Robot, mapped: Mapped | None, note: Callable[[str], None]):
        self._controller, self._robot, self._note = controller, robot, note
        self._mapped, self._order = mapped or Mapped(), JointOrder(robot.joints)
        self._waiting: deque[tuple[float, str, Message]] = deque()
        self._offset: int | None = None
        self._handlers = {
            "target_joints": self._joints,
            "target_point": self._point,
            "target_pose": self._pose,
            "target_trajectory": self._trajectory,
            "target_features": self._features,
        }

    def give(self, role: str, message: Message) -> None:
        """To the controller, now."""
        try:
            self._handlers[role](message, seconds(message.header.stamp))
        except MbrlError as error:
            self._note(f"target refused: {error}")

    def wait(self, arrived: float, role: str, message: Message) -> None:
        """Keep it until give_until() says that the node had it."""
        self._waiting.append((arrived, role, message))

    def refuse(self, role: str, stamp: float) -> None:
        """The node refused a target with this header stamp [s]: the newest one that waits."""
        for k in reversed(range(len(self._waiting))):
            _, kind, message = self._waiting[k]
            if kind == role and seconds(message.header.stamp) == stamp:
                del self._waiting[k]
                self._note(f"{role}: refused, as in the run")
                return

    def forget_count(self, count: int | None = None) -> None:
        """The node counts anew; `count`: how many it has accepted by now, None if the next status tells."""
        self._offset = None if count is None else count - self._accepted

    def give_until(self, count: int, now: float) -> None:
        """Give what the node had accepted at `now` [s], `count` targets in its own numbering."""
        if self._offset is None:  # recorded from some time on
            arrived = sum(time <= now for time, _, _ in self._waiting)
            self._offset = count - self._accepted - arrived
        while self._waiting:
            arrived, role, message = self._waiting[0]
            wanted = self._accepted + self._offset < count and arrived <= now + APART
            if not wanted and arrived >= now - APART:
                return
            self._waiting.popleft()
            self.give(role, message)

    @property
    def _accepted(self) -> int:
        return self._controller.target_manager.accepted

    def _joints(self, message: Message, stamp: float) -> None:
        message.name = self._mapped.translated(message.name)
        self._controller.set_joint_target(read_joint_target(message, self._order), stamp)

    def _point(self, message: Message, stamp: float) -> None:
        self._controller.set_point_target(read_point_target(message, self._robot.root), stamp)

    def _pose(self, message: Message, stamp: float) -> None:
        self._controller.set_point_target(read_pose_target(message, self._robot.root), stamp)

    def _trajectory(self, message: Message, stamp: float) -> None:
        message.joint_names = self._mapped.translated(message.joint_names)
        self._controller.set_trajectory(*read_trajectory_target(message, self._order), stamp)

    def _features(self, message: Message, stamp: float) -> None:
        self._controller.set_feature_target(read_feature_target(message), stamp)
