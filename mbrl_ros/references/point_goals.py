r"""Poses that bring the end effector to a point, while joints that are not controlled may move.

With p(q, r) the end effector at the controlled joints q (n,) and the others r (k,), a goal for the point p* is a pose
q* with p(q*, r) = p*. r counts as moved once a joint is MOVED away from where it was taken to be. A robot whose
controlled joints alone move the end effector (k = 0) gets its goal once, when the target is set. Any other gets it
when the target begins, which is in the control thread and so at the same r in a replay, and anew whenever r has taken
the end effector FOLLOWING times the reach tolerance away.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.section import per_joint
from ..config.sections.references import ReferenceSettings
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..types import Array, JointVector
from .targets import Target, point_target

MOVED = 1e-4  # [rad or m]
FOLLOWING = 0.2


class PointGoals:
    """Goals of end-effector targets for `robot`.

    kinematics: with the joints that are not controlled where they are; positions(Q (T, n)) -> P (T, 3) [m] of a preview
    with T = `stages`; uncontrolled: r (k,), None where k = 0.
    """

    def __init__(self, robot: Robot, settings: ReferenceSettings, stages: int):
        self._robot, self._settings = robot, settings
        self.kinematics = Kinematics(robot)
        self.positions = self.kinematics.position_map(stages)
        self.uncontrolled: Array | None = np.zeros(len(robot.uncontrolled)) if robot.uncontrolled else None
        self._moved = False
        self._out_of_reach = False  # whether the present goal misses its point
        self._notes: list[str] = []

    def place(self, r: Array | None) -> None:
        """Take note of measured positions r (k,) [rad or m], NaN for a joint that was not measured; None: of none."""
        if r is None or self.uncontrolled is None:
            return
        change = np.abs(r - self.uncontrolled)
        if (change > MOVED).any():  # NaN is not
            self.uncontrolled = np.where(np.isnan(change), self.uncontrolled, r)
            self.kinematics.place(self.uncontrolled)
            self._moved = True

    def target(self, p: Array, last: Target | None, stamp: float) -> Target:
        """Make a target for p (3,) [m]; TargetError if it is out of reach.

        Without a pose to come from, or where other joints move the end effector, the pose to go to is chosen when the
        target's time has come.
        """
        home = self._settings.home
        seed = per_joint(home, self._robot.n, "reference.home") if home else None if last is None else last.q
        target = point_target(self.kinematics, p, self._robot.middle if seed is None else seed, self._settings, stamp)
        later = seed is None or self.uncontrolled is not None
        return dataclasses.replace(target, q=None) if later else target

    def begun(self, target: Target, q: JointVector) -> JointVector:
        """Return the goal (n,) of a target that begins now; where it was left open, it is searched from q (n,)."""
        if target.q is not None and (self.uncontrolled is None or target.kind != "point"):
            return target.q
        goal, distance = self.kinematics.inverse(target.value, q)
        self._moved = False
        self._note(distance)
        return goal

    def followed(self, target: Target | None) -> JointVector | None:
        """Return another goal (n,) for the present target if joints that are not controlled have moved; else None."""
        if not self._moved:
            return None
        self._moved = False
        if target is None or target.kind != "point" or target.q is None:
            return None
        missed = float(np.linalg.norm(self.kinematics.position(target.q) - target.value))
        if missed <= FOLLOWING * self._settings.reach_tolerance:
            return None
        goal, distance = self.kinematics.inverse(target.value, target.q, restarts=0)
        self._note(distance)
        return goal

    def take_notes(self) -> list[str]:
        """Return in words what became of points since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _note(self, distance: float) -> None:
        lost, self._out_of_reach = self._out_of_reach, distance > self._settings.reach_tolerance
        if self._out_of_reach and not lost:
            joints = list(self._robot.uncontrolled)
            self._notes.append(
                f"point target: {joints}, which are not controlled, took it out of reach; the nearest pose misses it "
                f"by {1e3 * distance:.1f} mm"
            )
