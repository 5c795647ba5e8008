"""How the links of a URDF are turned, for velocities that are given in the axes of one of them."""

from __future__ import annotations

import casadi
import numpy as np

from ..exceptions import LONGEST, TargetError, nearest
from ..types import Array
from . import urdf
from .kinematics import applied, moved, placed_joint
from .robot import Robot

MOST_HINTS = 10  # errors that also say which name is nearest: it takes milliseconds to find


class LinkAxes:
    """The axes of the links of `robot` that nothing moves but the joints of the arm, in the root link's frame."""

    def __init__(self, robot: Robot):
        self._robot, self._tree = robot, urdf.parse(robot.urdf)
        self._known: dict[str, casadi.Function] = {}
        self._hints = MOST_HINTS

    def resolve(self, frame: str) -> str:
        """Return the link that a message calls `frame`: '' is the root, and a leading slash is left out.

        Raises
        ------
        TargetError
            There is no such link, or a joint moves it whose position is not known.
        """
        link = frame.removeprefix("/") or self._tree.root
        if link in self._known:
            return link
        if link not in self._tree.links:
            raise TargetError(
                f"frame '{frame[:LONGEST]}' is no link of the robot{self._hint(link)}", kind="unknown frame"
            )
        arm = {*self._robot.joints, *self._robot.uncontrolled}
        foreign = [joint.name for joint in self._tree.chain(link) if joint.kind != "fixed" and joint.name not in arm]
        if foreign:
            raise TargetError(
                f"frame '{frame}' is moved by joint '{foreign[0]}', which does not belong to the arm",
                kind="unknown frame",
            )
        self._known[link] = self._rotation(link)
        return link

    def _hint(self, link: str) -> str:
        """Return which link may be meant; it takes milliseconds to find, so only a few times."""
        self._hints -= 1
        return f"; did you mean '{nearest(link[:LONGEST], self._tree.links)}'?" if self._hints >= 0 else ""

    def rotation(self, link: str, q: Array, r: Array) -> Array:
        """Return R (3, 3) of a `link` that was resolved; q (n,), and r (k,) of the joints that are not controlled."""
        return np.array(self._known[link](q, r))

    def _rotation(self, link: str) -> casadi.Function:
        """Return q (n,), r (k,) -> R (3, 3)."""
        robot = self._robot
        q, r = casadi.SX.sym("q", robot.n), casadi.SX.sym("r", len(robot.uncontrolled))
        R, inner = casadi.SX.eye(3), np.eye(4)
        for joint in reversed(self._tree.chain(link)):
            position = placed_joint(robot, joint, q, r)
            if position is not None:
                R = moved(joint, position, applied(inner, R, 0.0), 0.0)
                inner = np.eye(4)
            inner = joint.origin @ inner
        return casadi.Function("rotation", [q, r], [casadi.densify(casadi.cse(applied(inner, R, 0.0)))])
