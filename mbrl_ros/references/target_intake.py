"""The targets that are accepted: checked against the robot where they come in, then queued until they begin."""

from __future__ import annotations

from collections.abc import Callable

from ..config.sections.references import ReferenceSettings
from ..exceptions import TargetError
from ..robots import Robot
from ..types import Array
from .jogging import Jogging
from .point_goals import PointGoals
from .segments import Waypoints
from .target_queue import TargetQueue
from .targets import Target, feature_target, joint_target, trajectory_target
from .trajectory_joins import TrajectoryJoins


class TargetIntake:
    """What accepts targets of `robot`; any thread may call it.

    target: the one that was begun last; queue: those that wait; joins: of trajectories; jogs: of velocities.
    """

    def __init__(self, robot: Robot, settings: ReferenceSettings, dt: float, m: int, horizon: int):
        self.robot, self.settings, self.dt, self.m, self.n = robot, settings, dt, m, robot.n
        self._points = PointGoals(robot, settings, horizon + 1)
        self.kinematics = self._points.kinematics
        self.queue = TargetQueue(dt, settings.most_targets)
        self.target: Target | None = None
        self.joins = TrajectoryJoins(robot, dt)
        self.jogs = Jogging(robot, settings, self._points.pose_kinematics, dt)
        self._refusal: Callable[[], str] = lambda: ""

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> Target:
        """Go to q (n,) [rad] from `stamp` [s] on (0: now). TargetError if it lies outside the limits."""
        return self._accept(joint_target(self.robot, q, stamp))

    def set_trajectory(self, points: Waypoints, stamp: float = 0.0) -> Target:
        """Pass `points` after `stamp` (0: now), then rest. TargetError if malformed or outside the limits."""
        return self._accept(trajectory_target(self.robot, points, stamp))

    def set_point_target(self, p: Array, stamp: float = 0.0) -> Target:
        """Bring the end effector to p (3,) [m, base frame] from `stamp` [s] on. TargetError if it is out of reach."""
        seed = self.queue.last_before(stamp) or self.joins.waiting or self.target
        return self._accept(self._points.target(p, seed, stamp))

    def set_pose_target(self, pose: Array, stamp: float = 0.0) -> Target:
        """Bring the tool into a pose [p; x, y, z, w] (7,) [m, base frame]. TargetError if it is out of reach."""
        last = self.queue.last_before(stamp) or self.joins.waiting or self.target
        return self._accept(self._points.pose_target(pose, last, stamp))

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """Bring the features to s (m,) [image coordinates] from `stamp` [s] on. TargetError if outside the image."""
        return self._accept(feature_target(self.m, s, stamp))

    def set_twist(self, twist: Array, frame: str = "", stamp: float = 0.0) -> Target:
        """Move the tool with [v; w] (6,) [m/s, rad/s] in the axes of link `frame` ('': the root) until the time-out."""
        return self._accept_jog(self.jogs.twist(twist, frame, stamp))

    def set_velocities(self, qd: Array, stamp: float = 0.0) -> Target:
        """Move the joints with qd (n,) [rad/s or m/s] until the time-out. TargetError if it cannot be done."""
        return self._accept_jog(self.jogs.velocities(qd, stamp))

    def refuse_while(self, reason: Callable[[], str]) -> None:
        """Refuse every target while `reason()` is not empty; it tells why."""
        self._refusal = reason

    @property
    def accepted(self) -> int:
        """The number of targets accepted since construction."""
        return self.queue.accepted

    @property
    def adopted(self) -> int:
        """How many targets had been accepted at the last `advance`."""
        return self.queue.adopted

    def place_uncontrolled(self, r: Array | None) -> None:
        """Take note of where joints that are not controlled are: r (k,)."""
        self._points.place(r)

    @property
    def uncontrolled(self) -> Array | None:
        """See `Controller`."""
        return self._points.uncontrolled

    @property
    def displaced(self) -> bool:
        """Whether the target is a point, and a joint that moves the tip and is not controlled is not at zero."""
        return self._points.displaced and self.target is not None and self.target.kind == "point"

    def _accept(self, target: Target) -> Target:
        """Queue a target; TargetError while targets are refused, or if too many wait."""
        if reason := self._refusal():
            raise TargetError(reason, kind="refused at present")
        self.queue.add(target)
        return target

    def _accept_jog(self, jog: Target) -> Target:
        """Keep a jog for the next tick, which judges it by its state: so does a replay."""
        self.queue.add_jog(jog)
        self.jogs.counts.accepted += 1
        return jog
