"""The frames in which a target may be given: the links that stand still against the root link."""

from __future__ import annotations

import numpy as np

from ..exceptions import TargetError, nearest
from ..types import Array
from . import urdf
from .robot import Robot

NAMED = 6  # frames that an error names at most


class StaticFrames:
    """The transforms of the URDF's links that only fixed joints connect with the root link."""

    def __init__(self, robot: Robot):
        tree = urdf.parse(robot.urdf)
        self.root = tree.root
        self._transforms: dict[str, Array] = {tree.root: np.eye(4)}
        for joint in tree.descending():
            if joint.kind == "fixed" and joint.parent in self._transforms:
                self._transforms[joint.child] = self._transforms[joint.parent] @ joint.origin

    def transform(self, frame: str) -> Array:
        """Return T (4, 4) of `frame` in the root link's frame; '' is the root. TargetError if it does not stand still.

        A leading slash, which tf2 does not know any more, is left out.
        """
        found = self._transforms.get(frame.removeprefix("/") or self.root)
        if found is None:
            names = list(self._transforms)
            there = ", ".join(f"'{name}'" for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            raise TargetError(
                f"target: frame '{frame}' is none that stands still against the robot's base frame '{self.root}'; "
                f"there are {there}; did you mean '{nearest(frame, names)}'? Else transform the target into "
                f"'{self.root}' before sending it"
            )
        return found
