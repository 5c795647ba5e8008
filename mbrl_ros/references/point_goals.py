r"""Postures that bring the tool to a point or into a pose, while joints that are not controlled may move.

With p(q, r) the end effector at the controlled joints q (n,) and the others r (k,), a goal for the point p* is a
posture q* with p(q*, r) = p*; likewise for a pose. r counts as moved once a joint is MOVED away from where it was taken
to be. A robot whose controlled joints alone move the tool gets its goal once, when the target is set. Any other
gets it when the target begins, which is in the control thread and so at the same r in a replay, and anew whenever r has
taken the tool FOLLOWING times a tolerance away.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..config.section import per_joint
from ..config.sections.references import ReferenceSettings
from ..exceptions import ConfigurationError
from ..robots import Robot
from ..robots.kinematics import Kinematics
from ..robots.pose_kinematics import PoseKinematics
from ..robots.rotation import matrix_of
from ..types import Array, JointVector
from .targets import Target, checked_pose, point_target, pose_target

MOVED = 1e-4  # [rad or m]
FOLLOWING = 0.2
SEARCHED = ("point", "pose")  # kinds of targets whose posture is searched


class PointGoals:
    """Goals of end-effector targets for `robot`.

    kinematics: with the joints that are not controlled where they are; positions(Q (T, n)) -> P (T, 3) [m] of a preview
    with T = `stages`; uncontrolled: r (k,), None where k = 0; displaceable: whether r moves the end effector.
    """

    def __init__(self, robot: Robot, settings: ReferenceSettings, stages: int):
        self._robot, self._settings = robot, settings
        weights = settings.rotation_weights
        if len(weights) != 3:
            raise ConfigurationError(
                f"'reference.rotation_weights' must have 3 entries (x, y, z), got {len(weights)}",
                key="reference.rotation_weights",
                value=weights,
            )
        self.pose_kinematics = PoseKinematics(robot, weights)
        self.kinematics: Kinematics = self.pose_kinematics
        self.positions = self.kinematics.position_map(stages)
        self.uncontrolled: Array | None = np.zeros(len(robot.uncontrolled)) if robot.uncontrolled else None
        self.displaceable, self._moved = robot.displacing > 0, False
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
            self._moved = self._moved or bool((change[: self._robot.displacing] > MOVED).any())

    @property
    def displaced(self) -> bool:
        """Whether a joint that moves the end effector and is not controlled is not at zero."""
        return self.uncontrolled is not None and bool(self.uncontrolled[: self._robot.displacing].any())

    def target(self, p: Array, last: Target | None, stamp: float) -> Target:
        """Make a target for p (3,) [m]; TargetError if it is out of reach.

        Without a pose to come from, or where other joints move the end effector, the pose to go to is chosen when the
        target's time has come.
        """
        seed = self._seed(last)
        start = self._robot.middle if seed is None else seed
        return self._open(point_target(self.kinematics, p, start, self._settings, stamp), seed)

    def pose_target(self, pose: Array, last: Target | None, stamp: float) -> Target:
        """Make a target for the tool's pose [p; x, y, z, w] (7,); see `target`."""
        if not any(self._settings.rotation_weights):
            return self.target(checked_pose(pose)[:3], last, stamp)
        seed = self._seed(last)
        start = self._robot.middle if seed is None else seed
        return self._open(pose_target(self.pose_kinematics, pose, start, self._settings, stamp), seed)

    def begun(self, target: Target, q: JointVector) -> JointVector:
        """Return the goal (n,) of a target that begins now; where it was left open, it is searched from q (n,)."""
        if target.q is not None and (not self.displaceable or target.kind not in SEARCHED):
            return target.q
        goal = self._search(target, q)
        self._moved = False
        self._note(target, goal)
        return goal

    def followed(self, target: Target | None) -> JointVector | None:
        """Return another goal (n,) for the present target if joints that are not controlled have moved; else None."""
        if not self._moved:
            return None
        self._moved = False
        if target is None or target.kind not in SEARCHED or target.q is None:
            return None
        if self._share(*self._missed(target, target.q)) <= FOLLOWING:
            return None
        goal = self._search(target, target.q, restarts=0)
        self._note(target, goal)
        return goal

    def take_notes(self) -> list[str]:
        """Return in words what became of points since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _seed(self, last: Target | None) -> JointVector | None:
        """Return the posture (n,) from which a goal is searched; None: it is not known yet."""
        home = self._settings.home
        return per_joint(home, self._robot.n, "reference.home") if home else None if last is None else last.q

    def _open(self, target: Target, seed: JointVector | None) -> Target:
        """Return the target without its goal where that is chosen only when its time has come."""
        later = seed is None or self.displaceable
        return dataclasses.replace(target, q=None) if later else target

    def _search(self, target: Target, q: JointVector, **options: int) -> JointVector:
        """Return the goal (n,) of a target, searched from q (n,)."""
        if target.kind == "point":
            return self.kinematics.inverse(target.value, q, **options)[0]
        p, R = target.value[:3], matrix_of(target.value[3:])
        away = self._settings.stop_distance
        return self.pose_kinematics.inverse_pose(p, R, q, stop_distance=away, **options)[0]

    def _missed(self, target: Target, q: JointVector) -> tuple[float, float]:
        """Return the distance [m] and the angle [rad] by which the posture q (n,) misses the target."""
        if target.kind == "point":
            return float(np.linalg.norm(self.kinematics.position(q) - target.value)), 0.0
        return self.pose_kinematics.missed(target.value[:3], matrix_of(target.value[3:]), q)

    def _share(self, distance: float, angle: float) -> float:
        """Return how much a goal misses its target by [m] and [rad], as a share of what is tolerated."""
        return max(distance / self._settings.reach_tolerance, angle / self._settings.reach_angle)

    def _note(self, target: Target, goal: JointVector) -> None:
        distance, angle = self._missed(target, goal)
        lost, self._out_of_reach = self._out_of_reach, self._share(distance, angle) > 1.0
        if self._out_of_reach and not lost:
            joints = list(self._robot.uncontrolled[: self._robot.displacing])
            turned = f" and {np.degrees(angle):.2f} degrees" if angle else ""
            self._notes.append(
                f"{target.kind} target: {joints}, which are not controlled, took it out of reach; the nearest posture "
                f"misses it by {1e3 * distance:.1f} mm{turned}"
            )
