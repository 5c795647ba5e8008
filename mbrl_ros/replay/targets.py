"""Recorded targets, given to the controller when the node gave them.

Without a numbered status that is when they were recorded. With one, target k is given before the first command whose
status counts k targets: the recorder may have seen target and state in another order than the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..controllers.base import Controller
from ..exceptions import MbrlError
from ..messages.jogs import read_twist, read_velocities
from ..messages.joint_order import JointOrder
from ..messages.readers import Message, seconds
from ..messages.recorded_transforms import RecordedTransforms
from ..messages.targets import (
    point_numbers,
    pose_numbers,
    read_feature_target,
    read_joint_target,
    read_point_target,
    read_pose_target,
    read_trajectory_target,
)
from ..robots import Robot
from ..robots.frames import RobotFrames
from ..types import Array
from .topics import Mapped

STAMPS_APART = 0.5  # [s] between recorder and node seeing the same target; it is never given earlier or later than that


class TargetReplayer:
    """Gives targets to the controller of `robot`; note(text) is told why one is refused."""

    def __init__(self, controller: Controller, robot: Robot, mapped: Mapped | None, note: Callable[[str], None]):
        self._controller, self._frames, self._note = controller, RobotFrames(robot), note
        self.transforms, self._arrived = RecordedTransforms(STAMPS_APART), 0.0  # when the target at hand was recorded
        self._mapped, self._order = mapped or Mapped(), JointOrder(robot.joints)
        self._waiting: deque[tuple[float, str, Message]] = deque()
        self._offset: int | None = None  # of the node's count of targets over this controller's
        self._setters: dict[str, Callable[[Message, float], object]] = {
            "target_joints": self._set_joints,
            "target_point": self._set_point,
            "target_pose": self._set_pose,
            "target_trajectory": self._set_trajectory,
            "target_goal": self._set_trajectory,
            "target_features": self._set_features,
            "target_twist": self._set_twist,
            "target_velocities": self._set_velocities,
            "target_jog": self._set_velocities,
        }

    def give(self, role: str, message: Message, arrived: float) -> None:
        """Give a target recorded at `arrived` [s] to the controller now."""
        self._arrived = arrived
        try:
            self._setters[role](message, seconds(message.header.stamp))
        except MbrlError as error:
            self._note(f"target refused: {error}")

    def wait(self, arrived: float, role: str, message: Message) -> None:
        """Keep a target recorded at `arrived` [s] until `give_until` says that the node had it."""
        self._waiting.append((arrived, role, message))

    def refuse(self, role: str, stamp: float, newer: int = 0) -> None:
        """Drop the waiting target with the header stamp `stamp` [s] that the node refused; `newer` came after it."""
        found = [k for k, (_, kind, m) in enumerate(self._waiting) if kind == role and seconds(m.header.stamp) == stamp]
        if found:
            del self._waiting[found[max(0, len(found) - 1 - newer)]]
            self._note(f"{role}: refused, as in the run")

    def forget_count(self) -> None:
        """Let the next count of the node begin its numbering anew."""
        self._offset = None

    def give_until(self, count: int, now: float) -> None:
        """Give what the node had accepted at `now` [s]: `count` targets in its own numbering."""
        if self._offset is None:  # recorded from some time on
            arrived_before = sum(time <= now for time, _, _ in self._waiting)
            self._offset = count - self._controller.targets_accepted - arrived_before
        while self._waiting:
            arrived, role, message = self._waiting[0]
            wanted = self._controller.targets_accepted + self._offset < count and arrived <= now + STAMPS_APART
            if not wanted and arrived >= now - STAMPS_APART:
                return
            self._waiting.popleft()
            self.give(role, message, arrived)

    def _set_joints(self, message: Message, stamp: float) -> None:
        message.name = self._mapped.translated(message.name)
        self._controller.set_joint_target(read_joint_target(message, self._order), stamp)

    def _set_point(self, message: Message, stamp: float) -> None:
        T = self._transform("target_point", message, point_numbers(message))
        self._controller.set_point_target(read_point_target(message, T), stamp)

    def _set_pose(self, message: Message, stamp: float) -> None:
        T = self._transform("target_pose", message, pose_numbers(message))
        self._controller.set_pose_target(read_pose_target(message, T), stamp)

    def _transform(self, topic: str, message: Message, numbers: list[float]) -> Array:
        """Return where the frame of a target was (4, 4): as recorded, else as the robot's description tells it."""
        frame, stamp = message.header.frame_id, seconds(message.header.stamp)
        recorded = self.transforms.take(self._arrived, topic, frame, stamp, numbers)
        return self._frames.transform(frame) if recorded is None else recorded

    def _set_trajectory(self, message: Message, stamp: float) -> None:
        message.joint_names = self._mapped.translated(message.joint_names)
        self._controller.set_trajectory(read_trajectory_target(message, self._order), stamp)

    def _set_features(self, message: Message, stamp: float) -> None:
        self._controller.set_feature_target(read_feature_target(message), stamp)

    def _set_twist(self, message: Message, stamp: float) -> None:
        self._controller.set_twist(*read_twist(message), stamp)

    def _set_velocities(self, message: Message, stamp: float) -> None:
        message.name = self._mapped.translated(message.name)
        self._controller.set_velocities(read_velocities(message, self._controller.robot.joints), stamp)
