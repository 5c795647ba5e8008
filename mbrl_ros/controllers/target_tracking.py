"""The part of the controller interface that concerns targets; see base.py."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from ..exceptions import CallOrderError, ShapeError
from ..references.jogging import JogCounts
from ..references.segments import Waypoints
from ..references.target_manager import TargetManager
from ..references.targets import Target
from ..references.trajectory_joins import TrajectoryJoins
from ..references.trajectory_progress import Progress, progress_of
from ..types import Array, Observation


class TargetTracking:
    """The part of `Controller` that concerns targets, for a controller that leaves them to a `TargetManager`."""

    def __init__(self, target_manager: TargetManager):
        self.target_manager = target_manager

    def check(self, observation: Observation) -> None:
        """Raise an error if `step` cannot answer the observation because of how it was called.

        Raises
        ------
        CallOrderError
            `reset` has not been called.
        ShapeError
            q or qd is not (n,).
        """
        if self.target_manager.target is None:
            raise CallOrderError("step() before reset(): the controller does not know where the robot is")
        n = (self.target_manager.n,)
        for name, value in (("observation.q", observation.q), ("observation.qd", observation.qd)):
            if (value.shape if isinstance(value, np.ndarray) else np.shape(value)) != n:
                raise ShapeError(name, n, np.shape(value))

    def rejoin(self, observation: Observation) -> None:
        """See `Controller`."""
        self.target_manager.ramp_in(observation.q, observation.qd, observation.stamp)

    def wait_for_arm(self, observation: Observation) -> None:
        """See `Controller`."""
        self.target_manager.wait_for_arm(observation.q, observation.qd, observation.stamp)

    def assume_held(self, observation: Observation, command: Array) -> None:
        """Do nothing: nothing is learned."""

    def skip_transition(self, forget: float = 0.0) -> None:
        """Do nothing: nothing is learned."""

    def place_uncontrolled(self, r: Array) -> None:
        """See `Controller`."""
        self.target_manager.place_uncontrolled(r)

    @property
    def uncontrolled(self) -> Array | None:
        """See `Controller`."""
        return self.target_manager.uncontrolled

    def set_joint_target(self, q: Array, stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_joint_target(q, stamp)

    def set_point_target(self, p: Array, stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_point_target(p, stamp)

    def set_pose_target(self, pose: Array, stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_pose_target(pose, stamp)

    def set_feature_target(self, s: Array, stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_feature_target(s, stamp)

    def set_trajectory(self, points: Waypoints, stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_trajectory(points, stamp)

    def set_twist(self, twist: Array, frame: str = "", stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_twist(twist, frame, stamp)

    def set_velocities(self, qd: Array, stamp: float = 0.0) -> Target:
        """See `Controller`."""
        return self.target_manager.set_velocities(qd, stamp)

    @property
    def jog_counts(self) -> JogCounts:
        """See `Controller`."""
        return self.target_manager.jogs.counts

    def progress(self, points: Waypoints) -> Progress:
        """See `Controller`."""
        manager = self.target_manager
        postponed = (manager.postponed, manager.joins.waiting)
        return progress_of(points, manager.target, postponed, manager.queue, manager.joints)

    def take_target_notes(self) -> list[str]:
        """See `Controller`."""
        return self.target_manager.take_notes()

    def refuse_targets_while(self, reason: Callable[[], str]) -> None:
        """See `Controller`."""
        self.target_manager.refuse_while(reason)

    def adapt_to_lateness(self, periods: int, authority: float, std: float) -> None:
        """Move more slowly; see `Controller`."""
        self.target_manager.limit_speed(authority)

    def limit_gain(self, share: float) -> None:
        """Do nothing: there is no gain to lower."""

    @property
    def joins(self) -> TrajectoryJoins:
        """See `Controller`."""
        return self.target_manager.joins

    @property
    def targets_accepted(self) -> int:
        """See `Controller`."""
        return self.target_manager.accepted

    @property
    def targets_adopted(self) -> int:
        """See `Controller`."""
        return self.target_manager.adopted

    @property
    def targets_forgotten(self) -> int:
        """See `Controller`."""
        return self.target_manager.queue.forgotten

    def asked_at(self, forgotten: int) -> AbstractContextManager[None]:
        """See `Controller`."""
        return self.target_manager.queue.asked_at(forgotten)

    @property
    def target(self) -> Target | None:
        """See `Controller`."""
        return self.target_manager.target

    @property
    def reference_end(self) -> float:
        """See `Controller`."""
        return self.target_manager.end

    def joint_reference(self, stamp: float) -> Array:
        """See `Controller`."""
        return self.target_manager.joint_reference(stamp)
