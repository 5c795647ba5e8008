"""The frames of a robot: the links of its URDF, and the one in which its root link is mounted (robot.mounting).

Frame names are those of tf2: robot.frame_prefix and the name of a link. Links that only fixed joints connect with the
root link stand still; others move with joints that are measured, the controlled ones and those of `Robot.uncontrolled`,
or with further ones, of which nothing is known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from ..exceptions import TargetError, nearest
from ..types import Array
from . import urdf
from .robot import Robot
from .transform_buffer import inverse

NAMED = 6  # frames that an error names at most


class RobotFrames:
    """The frames of `robot`; each transform (4, 4) takes points into the frame of the root link, `root`.

    fixed: {frame: transform}; measured: frames that move with measured joints alone; others: {frame: a joint that moves
    it and is not measured}.
    """

    def __init__(self, robot: Robot):
        tree = urdf.parse(robot.urdf)
        self._prefix, known = robot.frame_prefix, {*robot.joints, *robot.uncontrolled}
        self.root = robot.base_frame
        self.fixed: dict[str, Array] = {self.root: np.eye(4)}
        self._joints: dict[str, urdf.Joint] = {}  # {frame that moves: the joint that carries it}
        self.others: dict[str, str] = {}
        for joint in tree.descending():
            frame, parent = self._prefix + joint.child, self._prefix + joint.parent
            if joint.kind == "fixed" and parent in self.fixed:
                self.fixed[frame] = self.fixed[parent] @ joint.origin
                continue
            self._joints[frame] = joint
            if parent in self.others:
                self.others[frame] = self.others[parent]
            elif joint.kind != "fixed" and joint.name not in known:
                self.others[frame] = joint.name
        self.measured = tuple(frame for frame in self._joints if frame not in self.others)
        if robot.mounting is not None:
            self.fixed[robot.mounting_frame] = inverse(robot.mounting)

    def transform(self, frame: str) -> Array:
        """Return the transform (4, 4) of a frame that stands still; '' is the root. TargetError if it does not."""
        found = self.fixed.get(frame.removeprefix("/") or self.root)
        if found is None:
            raise TargetError(
                f"target: frame '{frame}' is none that stands still against the robot's base frame '{self.root}'; "
                f"{named(self.fixed, frame)}",
                kind="unknown frame",
            )
        return found

    def moved(self, frame: str, positions: Mapping[str, float]) -> Array:
        """Return the transform (4, 4) of a measured frame, with {joint: position [rad or m]}."""
        T, at = np.eye(4), frame
        while at not in self.fixed:
            joint = self._joints[at]
            if joint.kind != "fixed":
                T = motion(joint, positions[joint.name]) @ T
            T, at = joint.origin @ T, self._prefix + joint.parent
        return np.asarray(self.fixed[at] @ T)


def named(frames: Iterable[str], frame: str) -> str:
    """Return in words which frames there are, and which one `frame` may be meant to be."""
    names = list(frames)
    there = ", ".join(f"'{name}'" for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"there are {there}; did you mean '{nearest(frame, names)}'?"


def motion(joint: urdf.Joint, position: float) -> Array:
    """Return the motion (4, 4) of a movable joint, in the child's frame: Rodrigues' formula, or a translation."""
    T, axis = np.eye(4), joint.axis
    if joint.kind == "prismatic":
        T[:3, 3] = position * axis
        return T
    x, y, z = axis
    across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    T[:3, :3] += math.sin(position) * across + (1.0 - math.cos(position)) * across @ across
    return T
