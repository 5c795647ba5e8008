"""Positions of joints that are measured and not controlled, from messages of their own.

What a state holds of them goes with the state. What comes in other messages is given to the controller between two
commands, as an event: a replay gets it at the same place. A joint of which nothing comes, or nothing any more, is said:
it is taken to stay where it was reported last.
"""

from __future__ import annotations

import math

import numpy as np
from rclpy.node import Node

from ..messages.readers import JointStateReader
from ..messages.uncontrolled_joints import SILENT_FOR
from ..references.point_goals import MOVED
from ..runtime.control_loop import ControlLoop
from ..types import Array

UNKNOWN_FOR = 1.0  # [s] of states without a position of a joint, before that is said


class UncontrolledWatch:
    """Looks after each message what `reader` has taken from it."""

    def __init__(self, node: Node, loop: ControlLoop, reader: JointStateReader):
        self._node, self._loop, self._reader = node, loop, reader
        self._given: Array = np.full(len(loop.controller.robot.uncontrolled), np.nan)
        self._first = math.inf  # the stamp of the first state [s]
        self._warned = not self._given.size
        self._silent: list[str] = []

    def after_message(self, stamp: float | None) -> None:
        """Look at a message; `stamp` [s] of its state, None if it was none."""
        positions = self._reader.take_uncontrolled()
        if positions is not None:
            self._give(positions)
        if stamp is not None:
            self._watch_silence(stamp)
        if stamp is not None and not self._warned:
            self._first = min(self._first, stamp)
            if stamp - self._first > UNKNOWN_FOR:
                self._warned = True
                self._warn()

    def _give(self, positions: Array) -> None:
        """Give positions (k,), NaN where unknown, to the controller if they differ from those given last."""
        known = ~np.isnan(positions)
        near = np.abs(positions - self._given) <= MOVED
        if (near | ~known).all():
            return
        self._given = np.where(known, positions, self._given)
        self._loop.between_commands(
            "uncontrolled_joints",
            lambda: self._loop.controller.place_uncontrolled(positions),
            positions=[float(value) if there else None for value, there in zip(positions, known, strict=True)],
        )

    def _watch_silence(self, stamp: float) -> None:
        """Say of which joints positions come no more, and of which they come again."""
        before, self._silent = self._silent, self._reader.others.silent(stamp)
        if self._silent == before:
            return
        self._reader.gate.silent = self._silent
        if lost := [joint for joint in self._silent if joint not in before]:
            self._node.get_logger().warning(
                f"no position of {lost} has come for {SILENT_FOR:g} s; they are taken to be where they were. "
                "Is their driver running?"
            )
        if back := [joint for joint in before if joint not in self._silent]:
            self._node.get_logger().info(f"positions of {back} come again")

    def _warn(self) -> None:
        if unknown := self._reader.others.unknown:
            watched = {joint.name for joint in self._loop.controller.robot.watched}
            why = "are named in robot.measured_joints" if watched.issuperset(unknown) else "move the end effector"
            self._node.get_logger().warning(
                f"joints {unknown} {why}, but no message on joint_states holds them; they are taken to be at 0. "
                "Publish them, or fix them in the URDF"
            )
